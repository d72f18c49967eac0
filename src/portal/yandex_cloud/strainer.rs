//! Takes the content out of a JSON document while it arrives: what is in the string of the member `content` is decoded
//! and handed on, everything else is gathered, so that a document of 171 MiB is never in memory. It knows just enough of
//! JSON to find that string; whether the rest is JSON at all is seen when it is read as such, with an empty string where
//! the content was.

use super::base64::{Decoder, NotBase64};

/// The member whose value is taken out.
const CONTENT: &[u8] = b"content";

/// The most bytes of a document beside its content; names and labels are short.
const REST_BYTES_MAX: usize = 1 << 20;

/// Why a document cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The content is no base64.
    Content,
    /// There are two contents.
    Twice,
    /// There is too much beside the content.
    TooLong,
}

/// Where the reading stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between strings.
    #[default]
    Outside,
    /// In a string; the name of a member of the outermost object is remembered.
    Text { escaped: bool, name: Option<Vec<u8>> },
    /// In the string that is taken out, with what has come of an escape.
    Content { escape: Vec<u8> },
}

/// A document that is being strained.
#[derive(Clone, Debug, Default)]
pub(super) struct Strainer {
    rest: Vec<u8>,
    place: Place,
    /// How many objects and lists are open.
    depth: u32,
    /// Whether a string that begins here is the name of a member.
    wants_name: bool,
    /// Whether a value that begins here is the content.
    wants_content: bool,
    decoder: Decoder,
    contents: u32,
    wrong: Option<Unusable>,
}

impl Strainer {
    /// Reads a piece, whose part of the content is decoded onto `out`.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            rest = match &self.place {
                Place::Content { escape } if escape.is_empty() => self.content(rest, out),
                Place::Content { .. } => {
                    self.escape(*byte, out);
                    after
                }
                _ => {
                    self.keep(*byte);
                    self.beside(*byte);
                    after
                }
            };
        }
    }

    /// The document, without its content.
    pub(super) fn finish(self) -> Result<Vec<u8>, Unusable> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.rest),
        }
    }

    /// Whether the content is sure not to be used.
    pub(super) fn is_wrong(&self) -> bool {
        self.wrong.is_some()
    }

    fn keep(&mut self, byte: u8) {
        if self.rest.len() < REST_BYTES_MAX {
            self.rest.push(byte);
        } else {
            self.wrong.get_or_insert(Unusable::TooLong);
        }
    }

    /// A byte that is no content.
    fn beside(&mut self, byte: u8) {
        match &mut self.place {
            Place::Text { escaped, name } => {
                let ends = byte == b'"' && !*escaped;
                if let Some(name) = name.as_mut().filter(|_| !ends) {
                    name.push(byte);
                }
                *escaped = byte == b'\\' && !*escaped;
                if ends {
                    // A name may be written with escapes.
                    self.wants_content = name.take().is_some_and(|name| unescaped(&name) == CONTENT);
                    self.place = Place::Outside;
                }
            }
            _ => self.outside(byte),
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'"' if self.wants_content => {
                self.wants_content = false;
                self.contents += 1;
                if self.contents > 1 {
                    self.wrong.get_or_insert(Unusable::Twice);
                }
                self.place = Place::Content { escape: Vec::new() };
            }
            b'"' => {
                let name = std::mem::take(&mut self.wants_name).then(Vec::new);
                self.place = Place::Text { escaped: false, name };
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.wants_name = byte == b'{' && self.depth == 1;
                self.wants_content = false;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' => {
                self.wants_name = self.depth == 1;
                self.wants_content = false;
            }
            _ => {}
        }
    }

    /// The beginning of `piece` is content; what is left behind it.
    fn content<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = memchr::memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
        self.decode(&piece[..end], out);
        match piece.get(end) {
            Some(b'\\') => {
                self.place = Place::Content { escape: vec![b'\\'] };
                &piece[end + 1..]
            }
            Some(_) => {
                let finished = self.decoder.finish();
                self.check(finished);
                self.keep(b'"');
                self.place = Place::Outside;
                &piece[end + 1..]
            }
            None => &[],
        }
    }

    /// A byte of an escape: some programs write every slash with one.
    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Place::Content { escape } = &mut self.place else { return };
        escape.push(byte);
        let is_whole = if escape[1] == b'u' { escape.len() == 6 } else { true };
        if is_whole {
            let text = unescaped(&std::mem::take(escape));
            self.decode(&text, out);
        }
    }

    fn decode(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.wrong.is_none() {
            let decoded = self.decoder.feed(text, out);
            self.check(decoded);
        }
    }

    fn check(&mut self, decoded: Result<(), NotBase64>) {
        if decoded.is_err() {
            self.wrong.get_or_insert(Unusable::Content);
        }
    }
}

/// What stands between quotes; what is no string is left as it is, and is neither base64 nor a name that counts.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| text.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::base64::encode;
    use super::*;

    /// What is left of a document that arrives in pieces of this length, and its content.
    fn strained(text: &[u8], length: usize) -> Result<(String, Vec<u8>), Unusable> {
        let (mut strainer, mut content) = (Strainer::default(), Vec::new());
        text.chunks(length).for_each(|piece| strainer.feed(piece, &mut content));
        strainer.finish().map(|rest| (String::from_utf8(rest).unwrap(), content))
    }

    #[track_caller]
    fn check(text: &str, rest: &str, content: &str) {
        for length in [1, 2, 3, 5, 7, text.len().max(1)] {
            let found = strained(text.as_bytes(), length);
            assert_eq!(found, Ok((rest.to_owned(), content.as_bytes().to_vec())), "pieces of {length}");
        }
    }

    #[test]
    fn the_content_is_taken_out_wherever_it_stands() {
        check(r#"{"content":"dGVzdCBmaWxl","name":"a"}"#, r#"{"content":"","name":"a"}"#, "test file");
        check(r#"{"name":"a","content":"Zg=="}"#, r#"{"name":"a","content":""}"#, "f");
        let text = "{ \"labels\" : {\"a\": \"}\\\"{\"} ,\n\t\"content\" :\n \"Zm9v\" , \"name\" : \"[\" }";
        check(text, &text.replace("Zm9v", ""), "foo");
        check(r#"{"content":""}"#, r#"{"content":""}"#, "");
    }

    #[test]
    fn other_contents_stay() {
        for text in [
            r#"{"labels":{"content":"no base64!"},"name":"content"}"#,
            r#"{"content":null,"name":"Zm9v"}"#,
            r#"{"content":{"content":"?"}}"#,
            r#"{"content":["?"]}"#,
            r#"["content","?"]"#,
            r#"{"a\"content":"?","x":"content"}"#,
            r#""content":"?""#,
            "",
            "no JSON at all",
        ] {
            check(text, text, "");
        }
    }

    #[test]
    fn strings_may_have_escapes() {
        let bytes = [0xff, 0xff, 0xbe];
        let text = r#"{"c\u006fntent":"\/\/\u002b\u002B"}"#;
        for length in 1..text.len() {
            assert_eq!(strained(text.as_bytes(), length).unwrap().1, bytes, "pieces of {length}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (text, expected) in [
            (r#"{"content":"Zg"}"#, Unusable::Content),
            (r#"{"content":"Z g="}"#, Unusable::Content),
            (r#"{"content":"Zg==\n"}"#, Unusable::Content),
            (r#"{"content":"\uZZZZ"}"#, Unusable::Content),
            (r#"{"content":"Zg==","content":"Zg=="}"#, Unusable::Twice),
        ] {
            for length in [1, 4, 99] {
                assert_eq!(strained(text.as_bytes(), length), Err(expected), "{text}");
            }
        }
        let long = json!({"name": "x".repeat(REST_BYTES_MAX)}).to_string();
        assert_eq!(strained(long.as_bytes(), 1000), Err(Unusable::TooLong));
    }

    #[test]
    fn half_a_document_is_no_document() {
        let text = json!({"a": 1, "content": encode(&[7; 50]), "b": "c"}).to_string();
        for length in 0..text.len() {
            let rest = strained(&text.as_bytes()[..length], 9).map(|(rest, _)| rest).unwrap();
            assert!(serde_json::from_str::<Value>(&rest).is_err(), "{rest}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_is_what_it_was(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            members in prop::collection::vec(("[a\"\\\\{}\\[\\],:]{0,4}", "(content|[b\"\\\\{},:]{0,5})"), 0..4),
            at in 0..4_usize,
            blanks in "[ \n\t]{0,2}",
            length in 1..20_usize,
        ) {
            let written: Vec<String> = members
                .iter()
                .map(|(name, text)| format!("{}{blanks}:{blanks}{}", json!(name), json!({"content": [text, {"x": text}]})))
                .collect();
            let at = at.min(written.len());
            let document = |content: &str, mut members: Vec<String>| {
                members.insert(at, format!("\"content\"{blanks}:{blanks}\"{content}\""));
                format!("{{{blanks}{}{blanks}}}", members.join(","))
            };
            let text = document(&encode(&bytes), written.clone());
            let rest = document("", written);
            prop_assert_eq!(strained(text.as_bytes(), length), Ok((rest.clone(), bytes)));
            prop_assert!(serde_json::from_str::<Value>(&rest).is_ok());
        }
    }
}
