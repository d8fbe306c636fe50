//! Markdown to HTML: CommonMark, pipe tables, struck, inserted, marked, lowered and raised text, and bare links.

use comrak::nodes::{AstNode, NodeLink, NodeValue};
use comrak::{Arena, Options, format_html, parse_document};
use std::borrow::Cow;

/// Longer texts are not read as Markdown, they are given as they are.
const LONGEST: usize = 1 << 20;

/// The trimmed input as HTML, with one more newline at the end.
pub(super) fn to_html(input: &str) -> String {
    let input = input.trim();
    if input.len() > LONGEST {
        return input.to_owned();
    }
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.subscript = true;
    options.extension.superscript = true;
    options.extension.insert = true;
    options.extension.highlight = true;
    // HTML in the text stays, as the original keeps it.
    options.render.r#unsafe = true;
    let arena = Arena::new();
    let root = parse_document(&arena, &with_plain_tables(input), &options);
    let texts: Vec<&AstNode<'_>> = root
        .descendants()
        .filter(|node| matches!(node.data.borrow().value, NodeValue::Text(_)))
        .filter(|node| {
            !node.ancestors().any(|above| {
                matches!(
                    above.data.borrow().value,
                    NodeValue::Link(_) | NodeValue::Image(_)
                )
            })
        })
        .collect();
    for node in texts {
        link_text(&arena, node);
    }
    let mut html = String::new();
    // Writing to a String cannot fail.
    let _ = format_html(root, &options, &mut html);
    let is_item = |node: &AstNode<'_>| matches!(node.data.borrow().value, NodeValue::Item(_));
    if root.descendants().any(is_item) {
        // The first paragraph or heading of an item stands on its line.
        for block in ["p>", "h1>", "h2>", "h3>", "h4>", "h5>", "h6>", "hr />"] {
            html = html.replace(&format!("<li>\n<{block}"), &format!("<li><{block}"));
        }
    }
    let has_table = |node: &AstNode<'_>| matches!(node.data.borrow().value, NodeValue::Table(_));
    if root.descendants().any(has_table) {
        for side in ["left", "center", "right"] {
            for cell in ["th", "td"] {
                html = html.replace(
                    &format!("<{cell} align=\"{side}\">"),
                    &format!("<{cell} style=\"text-align: {side};\">"),
                );
            }
        }
    }
    html.push('\n');
    html
}

/// A row of single dashes under the head of a table looks like a list; longer dashes say that it is none.
fn with_plain_tables(input: &str) -> Cow<'_, str> {
    let is_row = |line: &str| {
        let row = line.trim();
        row.starts_with("- ")
            && row.contains('|')
            && row
                .split('|')
                .all(|cell| cell.trim().trim_matches(':').bytes().all(|byte| byte == b'-'))
    };
    if !input.lines().any(is_row) {
        return Cow::Borrowed(input);
    }
    let mut head = "";
    let mut fenced = false;
    let mut output = String::with_capacity(input.len() + 8);
    for line in input.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        if is_row(line) && head.contains('|') && !fenced {
            output.push_str(&line.replacen('-', "---", 1));
        } else {
            output.push_str(line);
        }
        head = line;
    }
    Cow::Owned(output)
}

/// Makes links of the addresses in a text.
fn link_text<'a>(arena: &'a Arena<'a>, node: &'a AstNode<'a>) {
    let text = match &node.data.borrow().value {
        NodeValue::Text(text) => text.to_string(),
        _ => return,
    };
    let mut rest = text.as_str();
    let mut parts: Vec<(&str, Option<String>)> = Vec::new();
    while let Some((start, end, address)) = address(rest) {
        parts.push((&rest[..start], None));
        parts.push((&rest[start..end], Some(address)));
        rest = &rest[end..];
    }
    if parts.is_empty() {
        return;
    }
    parts.push((rest, None));
    for (part, address) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
        let shown =
            arena.alloc(NodeValue::Text(shown_text(part, address.is_some()).to_owned().into()).into());
        let new = match address {
            None => shown,
            Some(url) => {
                let link = NodeValue::Link(Box::new(NodeLink {
                    url,
                    title: String::new(),
                }));
                let link: &AstNode<'_> = arena.alloc(link.into());
                link.append(shown);
                link
            }
        };
        node.insert_before(new);
    }
    node.detach();
}

/// A link to an address or a telephone shows it without its scheme.
fn shown_text(part: &str, is_link: bool) -> &str {
    match part.split_once(':') {
        Some(("mailto" | "tel", after)) if is_link => after,
        _ => part,
    }
}

/// The first address in a text: where it begins and ends, and where it leads.
fn address(text: &str) -> Option<(usize, usize, String)> {
    let schemes = ["http://", "https://", "ftp://", "mailto:", "tel:", "www."];
    let mut from = 0;
    loop {
        let (start, scheme) = schemes
            .iter()
            .filter_map(|scheme| text[from..].find(scheme).map(|at| (from + at, *scheme)))
            .min_by_key(|(at, _)| *at)?;
        let free = text[..start]
            .chars()
            .next_back()
            .is_none_or(|before| before.is_whitespace() || matches!(before, '*' | '_' | '~' | '('));
        let end = start + length(&text[start..]);
        let host = &text[start + scheme.len()..end.max(start + scheme.len())];
        let valid = match scheme {
            "mailto:" => host
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
            "tel:" => !host.is_empty(),
            "www." => has_domain(&text[start..end]),
            _ => has_domain(host),
        };
        if free && valid {
            let url = &text[start..end];
            return Some((
                start,
                end,
                if scheme == "www." {
                    format!("http://{url}")
                } else {
                    url.to_owned()
                },
            ));
        }
        from = start + scheme.len();
    }
}

/// Names with a dot between them; the last two without underscores.
fn has_domain(address: &str) -> bool {
    let domain = address.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let mut parts = domain.rsplit('.');
    let last_two = [parts.next(), parts.next()];
    domain.contains('.')
        && domain.split('.').all(|part| !part.is_empty())
        && last_two.iter().flatten().all(|part| !part.contains('_'))
}

/// How much of a text belongs to the address it begins with: up to a blank or `<`, without punctuation at its end and
/// without closing parentheses that it does not open.
fn length(text: &str) -> usize {
    let mut end = text
        .find(|character: char| character.is_whitespace() || character == '<')
        .unwrap_or(text.len());
    loop {
        let address = &text[..end];
        let surplus = address.matches(')').count() > address.matches('(').count();
        if address.ends_with(['?', '!', '.', ',', ':', '*', '_', '~', '\'', '"'])
            || (address.ends_with(')') && surplus)
        {
            end -= 1;
        } else if let Some(entity) = address.strip_suffix(';').and_then(|before| {
            before
                .rfind('&')
                .filter(|at| before[at + 1..].bytes().all(|byte| byte.is_ascii_alphanumeric()))
        }) {
            end = entity;
        } else {
            return end;
        }
    }
}
