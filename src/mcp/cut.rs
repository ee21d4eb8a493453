//! Cutting a text at a length. Pure.

/// Cuts a text to at most `limit` characters, at a character boundary. Says whether it did.
pub(super) fn cut(text: &str, limit: usize) -> (&str, bool) {
    match text.char_indices().nth(limit) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_off_is_the_rest(text in "\\PC{0,40}", limit in 0usize..50) {
            let (kept, was_cut) = cut(&text, limit);
            prop_assert!(text.starts_with(kept));
            prop_assert_eq!(kept.chars().count(), limit.min(text.chars().count()));
            prop_assert_eq!(was_cut, kept.len() < text.len());
        }
    }
}
