//! The page's content as HTML: `page.html` with its slots filled, in one pass, so that what fills one is never taken for
//! another. Everything that comes from outside goes through [`escaped`].

use super::text::{escaped, percent_encoded};
use super::view::{Entry, Upload, View};
use crate::portal::control::PREFIX;

/// The page, with a slot `{{name}}` wherever something is filled in.
const TEMPLATE: &str = include_str!("page.html");

/// The page for whoever sees the portal at `address`.
pub(super) fn page(view: &View, address: &str) -> String {
    filled(TEMPLATE, |slot| match slot {
        "service" => escaped(&view.service),
        "address" => escaped(address),
        "summary" => escaped(&view.summary),
        "uploads" => view.on_the_way.iter().map(upload).collect(),
        "uploads_hidden" => hidden_if(view.on_the_way.is_empty()),
        "files" => view.files.iter().map(file).collect(),
        "files_hidden" => hidden_if(view.files.is_empty()),
        "empty_hidden" => hidden_if(!view.files.is_empty()),
        "rest" => escaped(&view.rest),
        _ => unreachable!("the page has no slot {slot}"),
    })
}

fn hidden_if(hidden: bool) -> String {
    if hidden { " hidden".into() } else { String::new() }
}

/// `template` with what `fill` makes of each slot.
fn filled(template: &str, fill: impl Fn(&str) -> String) -> String {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (slot, rest) = part.split_once("}}").expect("every slot of the page ends");
        page.push_str(&fill(slot));
        page.push_str(rest);
    }
    page
}

/// A file: its link, its folder, and what there is to know.
fn file(file: &Entry) -> String {
    let (id, title, folder) = (percent_encoded(&file.id), escaped(&file.title), escaped(&file.folder));
    let (people, program) = &file.updated;
    let notes: String = file.notes.iter().map(|note| format!(" · {}", escaped(note))).collect();
    format!(
        "<li id=\"file-{id}\">\
         <a href=\"{PREFIX}files/{id}\"><span class=\"unseen\">Download </span><bdi>{title}</bdi></a>\
         <span class=\"folder\"><span class=\"unseen\"> in </span><bdi>{folder}</bdi></span>\
         <span class=\"facts\">{} · <time datetime=\"{}\">{}</time>{notes}</span></li>",
        escaped(&file.size),
        escaped(program),
        escaped(people),
    )
}

/// An upload: its title, a bar, and how far it is.
fn upload(upload: &Upload) -> String {
    let (id, title) = (percent_encoded(&upload.id), escaped(&upload.title));
    // Without a value a bar says that nobody knows. More than everything can be there: a broken client sent it.
    let bar = upload.bytes_total.map(|total| format!(" max=\"{total}\" value=\"{}\"", upload.bytes_held.min(total)));
    format!(
        "<li id=\"upload-{id}\"><span id=\"title-{id}\" class=\"title\"><bdi>{title}</bdi></span>\
         <progress aria-labelledby=\"title-{id}\"{}></progress>\
         <span class=\"facts\">{}</span></li>",
        bar.unwrap_or_default(),
        escaped(&upload.progress),
    )
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{file as file_state, session, view};
    use super::*;

    const HOSTILE: &str = "<script>alert(1)<script>\" onclick='x' {{files}} &amp;\n\u{202E}gpj.exe";

    #[test]
    fn every_slot_is_filled_once() {
        let page = page(&view(vec![file_state(1, "/a/b.txt")], vec![]), "http://127.0.0.1:80");
        assert!(!page.contains("{{") && !page.contains("}}"), "{page}");
        assert_eq!(filled("a{{x}}b{{y}}", |slot| format!("<{slot}{{{{x}}}}>")), "a<x{{x}}>b<y{{x}}>");
    }

    /// The page of a file and an upload that have `name` everywhere.
    fn page_of(name: &str) -> String {
        let mut state = file_state(1, &format!("/{name}/{name}"));
        state.id = name.into();
        page(&view(vec![state], vec![session(name, name, 5)]), "http://localhost")
    }

    #[test]
    fn a_hostile_name_is_only_text() {
        let (hostile, harmless) = (page_of(HOSTILE), page_of("a.txt"));
        for mark in ["<", ">", "\"", "'", "\n"] {
            assert_eq!(hostile.matches(mark).count(), harmless.matches(mark).count(), "{mark} in {hostile}");
        }
        assert!(!hostile.contains('\u{202E}') && hostile.contains("&lt;script&gt;alert(1)"), "{hostile}");
        assert!(hostile.contains("{{files}}"), "a name is no slot");
    }

    #[test]
    fn what_is_not_there_is_hidden() {
        let empty = page(&view(vec![], vec![]), "http://127.0.0.1:80");
        assert!(empty.contains("id=\"files\" hidden") && empty.contains("id=\"uploads\" hidden"), "{empty}");
        assert!(empty.contains("id=\"empty\">") && empty.contains("http://127.0.0.1:80"), "{empty}");
        let full = page(&view(vec![file_state(1, "/a")], vec![session("1", "b", 5)]), "");
        assert!(full.contains("id=\"files\" aria") && full.contains("id=\"uploads\" aria"), "{full}");
        assert!(full.contains("id=\"empty\" hidden"), "{full}");
    }

    #[test]
    fn a_bar_is_never_past_its_end() {
        let page = page(&view(vec![], vec![session("a", "a", 5), session("b", "b", 4096), session("c", "c", -1)]), "");
        let bars: Vec<&str> = page.split("<progress ").skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
        assert_eq!(
            bars,
            [
                "aria-labelledby=\"title-a\" max=\"5\" value=\"5\"",
                "aria-labelledby=\"title-b\" max=\"4096\" value=\"1024\"",
                "aria-labelledby=\"title-c\"",
            ]
        );
    }
}
