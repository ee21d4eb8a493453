//! Lines of bounded length from a stream of bytes. Knows nothing of what they say.

use std::io;

use tokio_util::{
    bytes::{Buf, BytesMut},
    codec::Decoder,
};

/// One line of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line without its end.
    Whole(BytesMut),
    /// A line longer than allowed. Its bytes were dropped as they came.
    TooLong,
}

/// Splits input at newlines and never keeps more of a line than `longest` bytes.
///
/// It fails only if reading fails, so one bad line does not end the stream.
#[derive(Debug)]
pub(super) struct LineDecoder {
    longest: usize,
    /// Whether the last line may lack its end.
    takes_rest: bool,
    /// How much of the buffer was searched for a newline already.
    searched: usize,
    /// Whether what comes belongs to a line that was too long.
    is_dropping: bool,
}

impl LineDecoder {
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, takes_rest: true, searched: 0, is_dropping: false }
    }

    /// The same, but a last line without an end is dropped: its sender has died over it.
    pub(super) fn of_whole_lines(longest: usize) -> Self {
        Self { takes_rest: false, ..Self::new(longest) }
    }

    fn drop_buffered(&mut self, buffer: &mut BytesMut) {
        buffer.clear();
        self.searched = 0;
    }
}

impl Decoder for LineDecoder {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Line>, io::Error> {
        let unsearched = buffer.get(self.searched..).unwrap_or_default();
        let Some(more) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = buffer.len();
            if self.is_dropping || buffer.len() > self.longest {
                self.is_dropping = true;
                self.drop_buffered(buffer);
            }
            return Ok(None);
        };
        let length = self.searched + more;
        self.searched = 0;
        let line = buffer.split_to(length);
        buffer.advance(1);
        if std::mem::take(&mut self.is_dropping) || line.len() > self.longest {
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Whole(line)))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Line>, io::Error> {
        if let Some(line) = self.decode(buffer)? {
            return Ok(Some(line));
        }
        if !self.takes_rest {
            self.drop_buffered(buffer);
            return Ok(None);
        }
        if std::mem::take(&mut self.is_dropping) {
            return Ok(Some(Line::TooLong));
        }
        self.searched = 0;
        Ok((!buffer.is_empty()).then(|| Line::Whole(buffer.split())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines of `text` that comes in pieces of `size`, `None` for one that is too long.
    fn lines(text: &[u8], size: usize, longest: usize) -> Vec<Option<Vec<u8>>> {
        let mut decoder = LineDecoder::new(longest);
        let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
        for piece in text.chunks(size) {
            buffer.extend_from_slice(piece);
            while let Some(line) = decoder.decode(&mut buffer).unwrap() {
                found.push(line);
            }
        }
        while let Some(line) = decoder.decode_eof(&mut buffer).unwrap() {
            found.push(line);
        }
        let whole = |line| match line {
            Line::Whole(line) => Some(line.to_vec()),
            Line::TooLong => None,
        };
        found.into_iter().map(whole).collect()
    }

    #[test]
    fn a_long_line_is_dropped_and_the_next_is_read() {
        assert_eq!(lines(b"abcdef\nok\nxyzxyz", 2, 3), [None, Some(b"ok".to_vec()), None]);
    }

    #[test]
    fn a_line_that_is_not_whole_is_dropped_where_its_sender_has_died() {
        let (mut decoder, mut buffer) = (LineDecoder::of_whole_lines(9), BytesMut::from("a\nb"));
        assert_eq!(decoder.decode_eof(&mut buffer).unwrap(), Some(Line::Whole("a".into())));
        assert_eq!(decoder.decode_eof(&mut buffer).unwrap(), None);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_come(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'b')], 0..60),
            size in 1usize..20,
            longest in 0usize..10,
        ) {
            let mut expected: Vec<_> = text.split(|byte| *byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            let expected: Vec<_> = expected
                .into_iter()
                .map(|line| (line.len() <= longest).then(|| line.to_vec()))
                .collect();
            prop_assert_eq!(lines(&text, size, longest), expected);
        }
    }
}
