//! Texts of which a part is kept. What is cut says so. Pure.

/// The end of a text, from a line's beginning if there is one.
pub(super) fn end_of(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let begin = text.ceil_char_boundary(text.len() - limit);
    let end = text.get(begin..).unwrap_or_default();
    let end = end.split_once('\n').map_or(end, |(_, lines)| lines);
    format!("[{} bytes before this are left out]\n{end}", text.len() - end.len())
}

/// The beginning of a text, to a line's end if there is one.
pub(super) fn start_of(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let start = text.get(..text.floor_char_boundary(limit)).unwrap_or_default();
    let start = start.rsplit_once('\n').map_or(start, |(lines, _)| lines);
    format!("{start}\n[{} bytes after this are left out]", text.len() - start.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_at_lines_and_says_so() {
        let long =
            (0..9_999).map(|number| format!("line {number} ä\n")).collect::<Vec<_>>().concat();
        assert_eq!(end_of("short", 4_000), "short");
        let end = end_of(&long, 4_000);
        assert!(end.ends_with("\nline 9998 ä\n"), "{end}");
        let (said, first) = end.split_once('\n').unwrap();
        assert!(said.contains("bytes before") && first.starts_with("line "), "{said} {first:.20}");
        let start = start_of(&long, 16_000);
        assert!(start.starts_with("line 0 ä\n"), "{start:.30}");
        assert!(start.ends_with("bytes after this are left out]"));
        assert!(end_of(&"ä".repeat(9_999), 4_000).ends_with("ää"));
    }
}
