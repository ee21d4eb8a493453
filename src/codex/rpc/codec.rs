//! Lines of bounded length.

use tokio_util::{
    bytes::{Buf, Bytes, BytesMut},
    codec::Decoder,
};

/// The longest line that is read. Codex sends a whole answer in one line (5 MB seen) and a whole
/// history in the reply to a resume, so this is far above both.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// Splits a byte stream at newlines.
///
/// A longer line than [`MAX_LINE`] is skipped to its end and reported as [`Line::TooLong`]; what
/// follows is read as usual, so one oversized message never ends the conversation.
#[derive(Debug, Default)]
pub(super) struct Lines {
    searched: usize,
    skipping: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Text(Bytes),
    TooLong,
}

impl Decoder for Lines {
    type Item = Line;
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Line>, Self::Error> {
        let unseen = buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.searched = buffer.len();
            if buffer.len() > MAX_LINE {
                buffer.clear();
                self.searched = 0;
                self.skipping = true;
            }
            return Ok(None);
        };
        let line = buffer.split_to(self.searched + end);
        buffer.advance(1);
        self.searched = 0;
        if std::mem::take(&mut self.skipping) {
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Text(line.freeze())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<Line> {
        let (mut lines, mut buffer) = (Lines::default(), BytesMut::new());
        let mut found = Vec::new();
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some(line) = lines.decode(&mut buffer).unwrap() {
                found.push(line);
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_chunking_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(0..300_usize, 0..20),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let mut expected: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
            expected.pop();
            let expected: Vec<_> =
                expected.into_iter().map(|line| Line::Text(Bytes::copy_from_slice(line))).collect();
            prop_assert_eq!(all(&chunks), expected);
        }
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        let mut lines = Lines::default();
        let mut buffer = BytesMut::from("one\ntw");
        assert_eq!(lines.decode(&mut buffer).unwrap(), Some(Line::Text("one".into())));
        assert_eq!(lines.decode(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"o\n\nthree");
        assert_eq!(lines.decode(&mut buffer).unwrap(), Some(Line::Text("two".into())));
        assert_eq!(lines.decode(&mut buffer).unwrap(), Some(Line::Text("".into())));
        assert_eq!(lines.decode(&mut buffer).unwrap(), None);
    }

    #[test]
    fn an_oversized_line_is_skipped_and_the_next_one_read() {
        let mut lines = Lines::default();
        let mut buffer = BytesMut::from(vec![b'x'; MAX_LINE + 1].as_slice());
        assert_eq!(lines.decode(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"xxx\nnext\n");
        assert_eq!(lines.decode(&mut buffer).unwrap(), Some(Line::TooLong));
        assert_eq!(lines.decode(&mut buffer).unwrap(), Some(Line::Text("next".into())));
    }
}
