//! How often a service has rejected an account, and for how long it is left alone: services lock accounts that knock too
//! often. It sends nothing; whoever signs in asks it before, and tells it after.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// So often a name and password may be rejected before we stop asking.
const COUNT_MAX: u32 = 3;
/// The first pause; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(300);
/// Pauses grow up to 2^4 times the first: 80 minutes.
const PAUSE_DOUBLINGS_MAX: u32 = 4;

/// The rejections of one account.
#[derive(Default)]
pub(super) struct Rejections {
    count: u32,
    paused: Option<(Instant, Error)>,
}

impl Rejections {
    /// The last rejection, while nobody should ask again.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Error> {
        let (until, error) = self.paused.as_ref()?;
        if now >= *until {
            self.paused = None;
            return None;
        }
        let minutes = until.duration_since(now).as_secs() / 60 + 1;
        let mut error = error.clone();
        error.what = format!("{}; not trying again for {minutes} min", error.what).into();
        Some(error)
    }

    /// The service let us in.
    pub(super) fn accepted(&mut self) {
        self.count = 0;
    }

    /// The service says that name and password are wrong.
    pub(super) fn rejected(&mut self, error: &Error, now: Instant) {
        self.count += 1;
        if self.count >= COUNT_MAX {
            let doublings = (self.count - COUNT_MAX).min(PAUSE_DOUBLINGS_MAX);
            self.paused = Some((now + PAUSE_MIN * 2_u32.pow(doublings), error.clone()));
        }
    }

    /// The service says that it was asked too often.
    pub(super) fn throttled(&mut self, error: &Error, now: Instant) {
        self.paused = Some((now + PAUSE_MIN, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn error() -> Error {
        Error::new(Kind::SignedOut, "sign-in", "wrong password")
    }

    #[test]
    fn pauses_grow_while_the_password_stays_wrong() {
        let (mut rejections, mut now) = (Rejections::default(), Instant::now());
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for _ in 0..COUNT_MAX {
            assert!(rejections.pause(now).is_none());
            rejections.rejected(&error(), now);
        }
        for pause in [5, 10, 20, 40, 80, 80] {
            let error = rejections.pause(now + minutes(pause) - Duration::from_secs(1)).unwrap();
            assert!(error.to_string().contains("not trying again for 1 min"), "{error}");
            now += minutes(pause);
            assert!(rejections.pause(now).is_none(), "one more try after {pause} min");
            rejections.rejected(&self::error(), now);
        }
    }

    #[test]
    fn a_service_that_has_had_enough_is_left_alone_at_once() {
        let (mut rejections, now) = (Rejections::default(), Instant::now());
        rejections.throttled(&error(), now);
        assert!(rejections.pause(now + PAUSE_MIN - Duration::from_secs(1)).is_some());
        assert!(rejections.pause(now + PAUSE_MIN).is_none());
        assert_eq!(rejections.count, 0, "nobody said that the password is wrong");
    }

    #[test]
    fn who_gets_in_begins_anew() {
        let (mut rejections, now) = (Rejections::default(), Instant::now());
        rejections.rejected(&error(), now);
        rejections.rejected(&error(), now);
        rejections.accepted();
        rejections.rejected(&error(), now);
        assert!(rejections.pause(now).is_none());
    }
}
