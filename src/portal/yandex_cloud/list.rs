//! Pages of the two lists. The native one is the newest first, and goes on behind the moment and the id that its token
//! names, so that what comes and goes meanwhile makes nothing appear twice; a token comes with every page that has
//! something in it. That of OpenAI goes on behind an id, which has to be there.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::base64;
use super::errors::Failure;
use super::file::File;
use super::settings::Settings;

/// How a token has a moment.
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");

/// What files are sorted by.
fn key(file: &File) -> (OffsetDateTime, &str) {
    (file.created_at, &file.id)
}

/// The newest first.
pub(super) fn newest_first<'a>(files: impl Iterator<Item = &'a File>) -> Vec<&'a File> {
    let mut files: Vec<&File> = files.collect();
    files.sort_by(|a, b| key(b).cmp(&key(a)));
    files
}

/// The token that goes on behind a file.
pub(super) fn token(file: &File) -> String {
    let moment = file.created_at.format(MOMENT).expect("a moment has every part of the format");
    base64::encode(format!("{moment}@{}", file.id).as_bytes())
}

/// What a token names.
fn read(token: &str) -> Option<(OffsetDateTime, String)> {
    let text = String::from_utf8(base64::decode(token).ok()?).ok()?;
    let (moment, id) = text.split_once('@')?;
    let moment = time::PrimitiveDateTime::parse(moment, MOMENT).ok()?.assume_utc();
    Some((moment, id.to_owned()))
}

/// A page of these files, the newest first.
///
/// # Errors
/// There is no such size, or no such token.
pub(super) fn page<'a>(
    files: impl Iterator<Item = &'a File>,
    page_size: Option<&str>,
    page_token: Option<&str>,
    settings: &Settings,
) -> Result<Vec<&'a File>, Failure> {
    let size = match page_size.unwrap_or("0").parse::<usize>() {
        Ok(0) => settings.page_size,
        Ok(size) if size <= settings.page_size_max => size,
        _ => return Err(Failure::field("pageSize", format!("must be in 0-{}", settings.page_size_max))),
    };
    let mut files = newest_first(files);
    if let Some(token) = page_token {
        let (moment, id) = read(token).ok_or_else(|| Failure::field("pageToken", "invalid page token"))?;
        files.retain(|file| key(file) < (moment, id.as_str()));
    }
    files.truncate(size.min(settings.told_max.unwrap_or(usize::MAX)));
    Ok(files)
}

/// What the OpenAI dialect asks a list for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    pub(super) limit: Option<&'a str>,
    pub(super) order: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

/// A page of the OpenAI list, and whether there is more.
///
/// # Errors
/// There is no such size or order, or nothing to go on behind.
pub(super) fn openai_page<'a>(
    files: impl Iterator<Item = &'a File>,
    wanted: Wanted<'_>,
    settings: &Settings,
) -> Result<(Vec<&'a File>, bool), Failure> {
    let size = match wanted.limit.map(str::parse::<usize>) {
        None => settings.limit_max,
        Some(Ok(size)) if (1..=settings.limit_max).contains(&size) => size,
        Some(_) => return Err(Failure::field("limit", format!("must be in 1-{}", settings.limit_max))),
    };
    let mut files = newest_first(files);
    match wanted.order.unwrap_or("desc") {
        "desc" => {}
        "asc" => files.reverse(),
        _ => return Err(Failure::field("order", "must be asc or desc")),
    }
    if let Some(after) = wanted.after {
        let at = files.iter().position(|file| file.id == after);
        // The file may have gone meanwhile: that is no mistake of the client.
        let at = at.ok_or_else(|| Failure::refused(format!("after: there is no file {after}")))?;
        files.drain(..=at);
    }
    let size = size.min(settings.told_max.unwrap_or(usize::MAX));
    let has_more = files.len() > size;
    files.truncate(size);
    Ok((files, has_more))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    use super::super::errors::tests::code;
    use super::super::file::tests::file;
    use super::*;

    /// Files that were made in these seconds.
    fn files(seconds: &[i64]) -> Vec<File> {
        let made = |(at, second): (usize, &i64)| {
            let created_at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(*second);
            File { created_at, ..file(&format!("fvt{at:02}")) }
        };
        seconds.iter().enumerate().map(made).collect()
    }

    #[test]
    fn a_token_is_as_recorded() {
        let made = File { created_at: datetime!(2025-07-24 14:21:41.238314 UTC), ..file("fvtsrv819cscn7ogtlmd") };
        assert_eq!(base64::decode(&token(&made)).unwrap(), b"2025-07-24T14:21:41.238314@fvtsrv819cscn7ogtlmd");
        assert_eq!(read(&token(&made)), Some((made.created_at, made.id)));
    }

    #[test]
    fn sizes_and_tokens_have_limits() {
        let (files, settings) = (files(&[1, 2, 3]), Settings { page_size: 2, ..Settings::default() });
        let size = |size, token| page(files.iter(), size, token, &settings).map(|page| page.len());
        assert_eq!((size(None, None), size(Some("0"), None), size(Some("3"), None)), (Ok(2), Ok(2), Ok(3)));
        for wrong in ["-1", "1001", "x", ""] {
            assert_eq!(code(size(Some(wrong), None)), 3, "{wrong}");
        }
        for wrong in ["x", "eHg=", "Zm9vQGJhcg=="] {
            assert_eq!(code(size(None, Some(wrong))), 3, "{wrong}");
        }
        let told = Settings { told_max: Some(1), ..Settings::default() };
        assert_eq!(page(files.iter(), Some("3"), None, &told).unwrap().len(), 1);
    }

    #[test]
    fn the_other_list_goes_on_behind_an_id() {
        let (files, settings) = (files(&[1, 3, 2]), Settings::default());
        let list = |limit, order, after| {
            openai_page(files.iter(), Wanted { limit, order, after }, &settings)
                .map(|(files, more)| (files.iter().map(|file| &file.id[3..]).collect::<Vec<_>>().join(" "), more))
        };
        let told = |text: &str, more| Ok((text.to_owned(), more));
        assert_eq!(list(None, None, None), told("01 02 00", false));
        assert_eq!(list(Some("2"), Some("asc"), None), told("00 02", true));
        assert_eq!(list(Some("2"), Some("asc"), Some("fvt02")), told("01", false));
        assert_eq!(list(None, None, Some("fvt00")), told("", false));
        for (limit, order, after) in [
            (Some("0"), None, None),
            (Some("10001"), None, None),
            (None, Some("up"), None),
            (None, None, Some("fvt99")),
        ] {
            assert_eq!(code(list(limit, order, after)), 3, "{limit:?} {order:?} {after:?}");
        }
    }

    proptest! {
        #[test]
        fn a_walk_finds_everything_once(seconds in prop::collection::vec(0..4_i64, 0..20), size in 1..7_usize) {
            let (files, settings) = (files(&seconds), Settings { page_size: size, ..Settings::default() });
            let (mut walked, mut next): (Vec<&File>, _) = (Vec::new(), None);
            loop {
                let found = page(files.iter(), None, next.as_deref(), &settings).unwrap();
                let Some(last) = found.last() else { break };
                next = Some(token(last));
                prop_assert!(found.len() <= size);
                walked.extend(found);
            }
            prop_assert_eq!(walked, newest_first(files.iter()));
        }
    }
}
