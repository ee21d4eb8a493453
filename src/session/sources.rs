//! The web pages behind an answer: those Codex says it has read, and those the answer links to. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page on the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    pub url: String,
    // If the answer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl Source {
    /// A page without a title.
    pub fn untitled(url: String) -> Self {
        Self { url, title: None }
    }
}

/// The links in a Markdown text, in order.
pub(super) fn in_text(text: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("http") {
        let (before, link) = rest.split_at(start);
        rest = link.get(4..).unwrap_or_default();
        if !link.starts_with("http://") && !link.starts_with("https://") {
            continue;
        }
        let title = before.strip_suffix("](").and_then(|text| Some(text.rsplit_once('[')?.1));
        let ends = |c: char| c.is_whitespace() || "()<>[]\"'`".contains(c);
        let end = link.find(ends).unwrap_or(link.len());
        let url = link.get(..end).unwrap_or_default().trim_end_matches(['.', ',', ';', ':', '*']);
        found.push(Source { url: url.to_owned(), title: title.map(str::to_owned) });
    }
    found
}

/// Adds pages that are not known yet, and titles to known pages that have none.
pub(super) fn merge(known: &mut Vec<Source>, more: Vec<Source>) {
    for source in more {
        match known.iter_mut().find(|other| other.url == source.url) {
            Some(other) => other.title = other.title.take().or(source.title),
            None => known.push(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_any_form_and_once() {
        let text = "See [One](https://a.org/x?y=1), https://b.org/z. And <http://c.org>, not httpd. \
                    Again [One](https://a.org/x?y=1)";
        let mut known = vec![Source::untitled("https://b.org/z".into())];
        merge(&mut known, in_text(text));
        let urls: Vec<_> = known.iter().map(|source| source.url.as_str()).collect();
        assert_eq!(urls, ["https://b.org/z", "https://a.org/x?y=1", "http://c.org"]);
        assert_eq!(known[1].title.as_deref(), Some("One"));
    }
}
