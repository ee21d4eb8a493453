//! An answer's Markdown as HTML that can do nothing: whatever a model wrote, there are only the elements of Markdown, links
//! lead to the web alone, pictures are links, HTML is shown as text, and what would change the order of text is visible.

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};

use crate::session::visible;

/// The longest text that is read as Markdown, in bytes. What is longer is shown as it is.
const LONGEST: usize = 400_000;

/// The HTML. Empty for what is too long to be read as Markdown.
pub(super) fn html(text: &str) -> String {
    if text.len() > LONGEST {
        return String::new();
    }
    let text = visible(text);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut safe = String::with_capacity(text.len() * 2);
    html::push_html(&mut safe, Parser::new_ext(&text, options).map(harmless));
    safe
}

fn harmless(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: to_the_web(dest_url), title, id })
        }
        // A picture would be fetched from wherever it says.
        Event::Start(Tag::Image { dest_url, title, id, .. }) => {
            let (link_type, dest_url) = (LinkType::Inline, to_the_web(dest_url));
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // Below the headings of the page itself.
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Event::Start(Tag::Heading { level: lower(level), id, classes, attrs })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#');
            let word: String = language.chars().take_while(|c| is_plain(*c)).take(20).collect();
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(word.into())))
        }
        other => other,
    }
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H4,
        HeadingLevel::H2 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// The address, if it is on the web; one that leads nowhere, if it is anything else.
fn to_the_web(url: CowStr<'_>) -> CowStr<'_> {
    let lower = url.to_ascii_lowercase();
    let is_web = ["https://", "http://", "mailto:"].iter().any(|start| lower.starts_with(start));
    if is_web { url } else { CowStr::Borrowed("#") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_model_writes_cannot_act() {
        for (text, shown) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a <img src=x onerror=alert(1)> b", "&lt;img src=x onerror=alert(1)&gt;"),
            ("[x](javascript:alert(1))", "<a href=\"#\">x</a>"),
            ("[x](JaVaScRiPt:alert(1))", "<a href=\"#\">x</a>"),
            ("[x](data:text/html,hi)", "<a href=\"#\">x</a>"),
            ("[x](/api/v1/sessions)", "<a href=\"#\">x</a>"),
            ("![p](https://a.example/p.png)", "<a href=\"https://a.example/p.png\">p</a>"),
            ("```js\" onload=\"x\nlet a;\n```", "<code class=\"language-js\">"),
            ("\u{202e}abc", "\\u{202e}abc"),
            ("**bold** `code`", "<strong>bold</strong> <code>code</code>"),
        ] {
            let html = html(text);
            assert!(html.contains(shown), "{text}: {html}");
        }
        assert_eq!(html(&"x".repeat(LONGEST + 1)), "");
    }

    proptest! {
        #[test]
        fn only_elements_of_markdown_come_out(text in "[-<>a-z/\"'=!\\[\\]() \n`#:&;*_~|\u{202e}]{0,200}") {
            let html = html(&text);
            for element in html.split('<').skip(1) {
                let name: String = element.trim_start_matches('/').chars()
                    .take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!([
                    "a", "p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "h1",
                    "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "input",
                ].contains(&name.as_str()), "{}: {}", name, html);
            }
        }
    }
}
