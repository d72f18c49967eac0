//! What a token looks like, for people: which kind of credential it is, and what to do when it is the wrong one. Who signs
//! with it, and how, is not decided here. Pure.

/// Kinds of credential, by their looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The secret of an API key of a service account.
    ApiKey,
    /// An IAM token, which lives twelve hours at most.
    Iam,
    /// An OAuth token of a person: the service never takes it.
    Oauth,
    /// The id of an API key, without its secret.
    KeyId,
    /// Something else; an API key, presumably.
    Other,
}

impl Look {
    /// The kind that `token` looks like, whatever word stands before it.
    pub(super) fn of(token: &str) -> Look {
        let (word, token) = token.trim().rsplit_once(' ').unwrap_or(("", token.trim()));
        let begins = |with: &[&str]| with.iter().any(|with| token.starts_with(with));
        if begins(&["t1."]) {
            Look::Iam
        } else if begins(&["y0_", "y1_", "y2_", "AQAAAA"]) {
            Look::Oauth
        } else if begins(&["AQVN"]) || word == "Api-Key" {
            Look::ApiKey
        } else if begins(&["aje"]) && token.len() == 20 {
            Look::KeyId
        } else if word == "Bearer" {
            Look::Iam
        } else {
            Look::Other
        }
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Look::ApiKey | Look::Other => "an API key",
            Look::Iam => "an IAM token",
            Look::Oauth => "an OAuth token",
            Look::KeyId => "the id of an API key",
        }
    }

    /// What a person can do who is not let in with it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Look::Iam => {
                "an IAM token lives for 12 hours at most: write a new one into the token file, or use an API key of a \
                 service account"
            }
            Look::Oauth => {
                "that is an OAuth token: exchange it for an IAM token (yc iam create-token), or make an API key of a \
                 service account (yc iam api-key create)"
            }
            Look::KeyId => "that is the id of a key: the token is its secret, shown once when the key is made",
            Look::ApiKey | Look::Other => "check the API key: is it of a service account, deleted, or expired?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_what_they_are() {
        for (token, look) in [
            ("AQVNxyz", Look::ApiKey),
            ("Api-Key whatever", Look::ApiKey),
            ("t1.9euelZ", Look::Iam),
            ("Bearer t1.9euelZ", Look::Iam),
            ("Bearer opaque", Look::Iam),
            ("y0_AgAAAA", Look::Oauth),
            ("Bearer y0_AgAAAA", Look::Oauth),
            ("ajeu95ukfl5udg1gv4vb", Look::KeyId),
            ("anything", Look::Other),
        ] {
            assert_eq!(Look::of(token), look, "{token}");
        }
        assert!(Look::Oauth.advice().contains("exchange it"));
        assert!(Look::Iam.advice().contains("12 hours"));
    }
}
