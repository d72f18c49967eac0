//! The calls of the OpenAI dialect, as far as they differ.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::calls::Dialect;
use super::dto;
use super::errors::{Failure, json_of};
use super::file::Life;
use super::intake::Intake;
use super::list::{self, Wanted};
use super::making::{Lasting, Told};
use super::mime::BYTES;
use super::server::{Asked, Server};
use super::settings::{OpenaiLife, Settings};
use crate::portal::multipart::{FormError, Multipart, PartHead, boundary};
use crate::portal::ranges;
use crate::portal::serve::drain;

/// What files may be for.
const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];
/// The purpose whose files do not live for ever, and how long they do, in seconds.
const BATCH: (&str, i64) = ("batch", 30 * 24 * 60 * 60);
/// The shortest and the longest life that can be asked for, in seconds.
const LIFE_S: std::ops::RangeInclusive<i64> = 3600..=2_592_000;
/// The most bytes of a field that is not the file.
const FIELD_BYTES_MAX: usize = 64 << 10;

/// The fields of a form, but for the bytes of the file.
#[derive(Clone, Debug, Default, PartialEq)]
struct Form {
    /// The name and the declared type of the file.
    file: Option<(String, Option<String>)>,
    fields: BTreeMap<String, String>,
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        match error {
            FormError::NoForm => Failure::field("body", "multipart/form-data is expected"),
            FormError::BadHead => Failure::field("body", "the head of a part cannot be read"),
            // Mostly the connection has ended.
            FormError::Truncated => Failure::cut(),
        }
    }
}

impl Server {
    pub(super) async fn create_of_form(&self, asked: &Asked, body: Body) -> Result<Response, Failure> {
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        let is_form = if boundary(content_type).is_some() { Ok(()) } else { Err(FormError::NoForm.into()) };
        if let Err(failure) = is_form.and_then(|()| Server::check_length(asked)) {
            drain(body).await;
            return Err(failure);
        }
        let settings = &asked.settings;
        let mut intake = Intake::new(self.core.store.blob(), settings.file_bytes_max);
        let form = read(Multipart::new(content_type, body)?, &mut intake).await?;
        let (name, mime) = form.file.clone().ok_or_else(|| Failure::missing("file"))?;
        let purpose = form.purpose()?;
        let seconds = form.seconds()?;
        if seconds.is_none() {
            if settings.openai_wants_expiry {
                return Err(Failure::missing("expires_after"));
            }
            self.violation(asked, "created without an explicit expires_after");
        }
        let base = name.rsplit('/').next().filter(|_| settings.openai_base_names);
        let told = Told {
            name: base.unwrap_or(&name).to_owned(),
            description: String::new(),
            mime: mime.filter(|mime| mime != BYTES),
            labels: BTreeMap::new(),
            lasting: seconds.map_or_else(|| without_expiry(&purpose, settings), Lasting::Seconds),
            purpose,
        };
        self.make(asked, told, intake).await
    }

    pub(super) fn openai_list(&self, asked: &Asked) -> Result<Response, Failure> {
        let (settings, mut cloud) = (&asked.settings, self.cloud());
        let [purpose, limit, order, after] =
            ["purpose", "limit", "order", "after"].map(|parameter| asked.parameter(parameter));
        // Whoever looks knows what has become of a create.
        cloud.doubts.retain(|made| made.account != asked.account.id);
        let known = cloud.files.values().filter(|file| {
            let is_known = !settings.dialects_apart || file.dialect == Dialect::Openai;
            is_known && purpose.as_ref().is_none_or(|purpose| file.purpose == *purpose)
        });
        let wanted = Wanted { limit: limit.as_deref(), order: order.as_deref(), after: after.as_deref() };
        let (page, has_more) = list::openai_page(known, wanted, settings)?;
        Ok(json_of(200, &dto::openai_list(&page, has_more)))
    }

    pub(super) fn content(&self, asked: &Asked, id: &str) -> Result<Response, Failure> {
        let file = self.cloud().file(id, Dialect::Openai, &asked.settings)?.clone();
        let range = asked.header(header::RANGE).filter(|_| asked.settings.openai_ranges);
        let wanted = ranges::read(range, file.content.bytes());
        let mut answer = ranges::answer(&self.core.store, &file.content, wanted);
        if asked.settings.openai_ranges {
            answer.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        // A declared type may be anything.
        let mime = HeaderValue::try_from(&file.mime).unwrap_or(HeaderValue::from_static(BYTES));
        answer.headers_mut().insert(header::CONTENT_TYPE, mime);
        Ok(answer)
    }
}

/// How long a file lives that was given no expiry.
fn without_expiry(purpose: &str, settings: &Settings) -> Lasting {
    match settings.openai_life {
        OpenaiLife::SevenDays => Lasting::Life(Life::default()),
        OpenaiLife::Documented if purpose == BATCH.0 => Lasting::Seconds(BATCH.1),
        OpenaiLife::Documented => Lasting::Forever,
    }
}

/// Reads a form, whose file goes into `intake`.
async fn read(mut multipart: Multipart, intake: &mut Intake) -> Result<Form, Failure> {
    let mut form = Form::default();
    let mut files = 0;
    while let Some(head) = multipart.next_part().await? {
        match head.parameter("name").as_deref() {
            Some("file") => {
                files += 1;
                form.file = head.parameter("filename").map(|name| (name, declared(&head)));
                while let Some(piece) = multipart.chunk().await? {
                    intake.push(piece).await?;
                }
            }
            Some(name) => {
                let mut text = Vec::new();
                while let Some(piece) = multipart.chunk().await? {
                    let room = FIELD_BYTES_MAX.saturating_sub(text.len());
                    text.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                form.fields.insert(name.to_owned(), String::from_utf8_lossy(&text).into_owned());
            }
            None => return Err(FormError::BadHead.into()),
        }
    }
    multipart.drain().await?;
    if files > 1 {
        return Err(Failure::field("file", "there are two files"));
    }
    Ok(form)
}

/// The type that the head of a part declares.
fn declared(head: &PartHead) -> Option<String> {
    let found = head.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
}

impl Form {
    fn purpose(&self) -> Result<String, Failure> {
        let purpose = self.fields.get("purpose").ok_or_else(|| Failure::missing("purpose"))?;
        if !PURPOSES.contains(&purpose.as_str()) {
            return Err(Failure::field("purpose", format!("must be one of {}", PURPOSES.join(", "))));
        }
        Ok(purpose.clone())
    }

    /// After how many seconds the file shall expire.
    fn seconds(&self) -> Result<Option<i64>, Failure> {
        if self.fields.contains_key("expires_after") {
            return Err(Failure::field("expires_after", "must be an object"));
        }
        let field = |name: &str| self.fields.get(name).map(String::as_str);
        match (field("expires_after[anchor]"), field("expires_after[seconds]")) {
            (None, None) => Ok(None),
            (Some("created_at"), Some(seconds)) => {
                let seconds = seconds.parse().ok().filter(|seconds| LIFE_S.contains(seconds));
                seconds.map(Some).ok_or_else(|| {
                    Failure::field("expires_after[seconds]", format!("must be in {}-{}", LIFE_S.start(), LIFE_S.end()))
                })
            }
            (Some("created_at"), None) => Err(Failure::missing("expires_after[seconds]")),
            _ => Err(Failure::field("expires_after[anchor]", "must be created_at")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::errors::tests::code;
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Form { fields, ..Form::default() }
    }

    #[test]
    fn a_purpose_is_one_of_a_few() {
        assert_eq!(form(&[("purpose", "batch")]).purpose(), Ok("batch".to_owned()));
        assert_eq!((code(form(&[]).purpose()), code(form(&[("purpose", "fun")]).purpose())), (3, 3));
    }

    #[test]
    fn an_expiry_has_an_anchor_and_seconds() {
        let seconds = |anchor: &str, seconds: &str| {
            form(&[("expires_after[anchor]", anchor), ("expires_after[seconds]", seconds)]).seconds()
        };
        assert_eq!(form(&[]).seconds(), Ok(None));
        assert_eq!(seconds("created_at", "3600"), Ok(Some(3600)));
        assert_eq!(seconds("created_at", "2592000"), Ok(Some(2_592_000)));
        for (anchor, number) in
            [("created_at", "3599"), ("created_at", "2592001"), ("created_at", "x"), ("now", "3600")]
        {
            assert_eq!(code(seconds(anchor, number)), 3, "{anchor} {number}");
        }
        assert_eq!(code(form(&[("expires_after[anchor]", "created_at")]).seconds()), 3);
        assert_eq!(code(form(&[("expires_after[seconds]", "3600")]).seconds()), 3);
        assert_eq!(code(form(&[("expires_after", "{}")]).seconds()), 3);
    }

    #[test]
    fn a_file_without_an_expiry_lives_as_the_setting_says() {
        let documented = Settings { openai_life: OpenaiLife::Documented, ..Settings::default() };
        let seven = Lasting::Life(Life::default());
        for (purpose, expected) in [("batch", Lasting::Seconds(2_592_000)), ("assistants", Lasting::Forever)] {
            assert_eq!(without_expiry(purpose, &Settings::default()), seven);
            assert_eq!(without_expiry(purpose, &documented), expected);
        }
    }
}
