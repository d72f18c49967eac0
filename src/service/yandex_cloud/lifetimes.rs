//! How long files live. The service removes every file some days after it was made, seven unless it is told otherwise; what
//! it takes at most is not documented. Here is what is asked for, what was refused, and when to ask for more. Pure, but for
//! the memory of refusals.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::Dialect;
use super::answers::Stored;

/// A day, in seconds.
const DAY: u64 = 86_400;
/// What a new file gets unless the configuration says otherwise, in days: the longest life that is known to have been taken.
pub const DEFAULT_DAYS: u64 = 60;
/// The most that the dialect of OpenAI takes, in days.
pub const OPEN_AI_DAYS_MAX: u64 = 30;
/// What is asked for after a refusal, in days: what the other dialect takes, and the service's own default.
const LADDER: [u64; 2] = [30, 7];

/// The lifetimes of a remote.
pub(super) struct Lifetimes {
    /// What a file is to have before it, in days.
    wanted: u64,
    /// What a new file may have at most, as far as refusals tell.
    new_max: AtomicU64,
    /// The shortest whole life, counted from when a file was made, that was refused.
    refused: AtomicU64,
}

impl Lifetimes {
    /// Files are to live for `days`, as far as the dialect has it.
    pub(super) fn new(days: u64, dialect: Dialect) -> Lifetimes {
        let wanted = match dialect {
            Dialect::Native => days,
            Dialect::OpenAi => days.min(OPEN_AI_DAYS_MAX),
        };
        Lifetimes { wanted, new_max: AtomicU64::new(u64::MAX), refused: AtomicU64::new(u64::MAX) }
    }

    /// What a new file is given, in days.
    pub(super) fn of_a_new_file(&self) -> u64 {
        self.wanted.min(self.new_max.load(Ordering::Relaxed))
    }

    /// The service does not give a new file so many days: whether fewer can be asked for.
    pub(super) fn is_refused(&self, days: u64) -> bool {
        let Some(fewer) = LADDER.into_iter().find(|step| *step < days) else { return false };
        tracing::warn!("the service does not keep files for {days} days: they get {fewer}");
        self.new_max.fetch_min(fewer, Ordering::Relaxed);
        true
    }

    /// The life that a file should be given now, in days since it was made; `None` while it has enough before it. Half of
    /// what is wanted is enough: a mount that is used once in that time loses nothing. Where no longer life is to be had, it
    /// is the same again: a service that counts from the change would put the end off.
    pub(super) fn due(&self, file: &Stored, now: SystemTime) -> Option<u64> {
        let (expires, has) = (file.expires?, file.ttl_days?);
        let left = expires.duration_since(now).unwrap_or_default();
        if left > Duration::from_secs(self.wanted * DAY / 2) {
            return None;
        }
        let age = now.duration_since(file.created).unwrap_or_default();
        let whole = age.as_secs().div_ceil(DAY) + self.wanted;
        let whole = whole.min(self.refused.load(Ordering::Relaxed).saturating_sub(1));
        Some(whole.max(has))
    }

    /// The service was asked for more, and gave so many days.
    pub(super) fn gives_at_most(&self, days: u64) {
        self.refused.fetch_min(days + 1, Ordering::Relaxed);
    }

    /// The service does not let a file live so long: what lies halfway to what it `has`, that in the end; `None` after it.
    pub(super) fn halfway(&self, has: u64, refused: u64) -> Option<u64> {
        if refused <= has {
            return None;
        }
        self.refused.fetch_min(refused, Ordering::Relaxed);
        Some(has + (refused - has) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64((1000.0 + days) * DAY as f64)
    }

    fn file(ttl_days: u64) -> Stored {
        Stored {
            id: "fvt1".to_owned(),
            name: "a".to_owned(),
            created: at(0.0),
            order: 0,
            expires: Some(at(ttl_days as f64)),
            ttl_days: Some(ttl_days),
            size: Some(1),
            upload: Some("u".to_owned()),
        }
    }

    #[test]
    fn a_life_is_raised_when_half_of_it_is_left() {
        let lifetimes = Lifetimes::new(60, Dialect::Native);
        assert_eq!(lifetimes.due(&file(60), at(0.0)), None);
        assert_eq!(lifetimes.due(&file(60), at(29.9)), None);
        assert_eq!(lifetimes.due(&file(60), at(30.0)), Some(90), "from when it was made, not from today");
        assert_eq!(lifetimes.due(&file(60), at(59.5)), Some(120));
        assert_eq!(lifetimes.due(&file(90), at(45.0)), None);
        assert_eq!(lifetimes.due(&file(7), at(0.0)), Some(60), "the service's own default is too short");
        assert_eq!(lifetimes.due(&Stored { expires: None, ..file(7) }, at(6.0)), None, "it lives for ever");
        assert_eq!(lifetimes.due(&file(60), at(-3.0)), None, "a clock that is behind");
    }

    #[test]
    fn a_refused_life_is_not_asked_for_again() {
        let lifetimes = Lifetimes::new(60, Dialect::Native);
        assert_eq!(lifetimes.halfway(60, 90), Some(75));
        assert_eq!(lifetimes.halfway(60, 75), Some(67));
        assert_eq!(lifetimes.due(&file(60), at(30.0)), Some(74));
        assert_eq!(lifetimes.halfway(60, 61), Some(60));
        assert_eq!(lifetimes.halfway(60, 60), None);
        assert_eq!(lifetimes.due(&file(60), at(59.0)), Some(60), "nothing longer is to be had");
        let lifetimes = Lifetimes::new(60, Dialect::Native);
        lifetimes.gives_at_most(80);
        assert_eq!(lifetimes.due(&file(60), at(59.0)), Some(80));
        assert_eq!(lifetimes.due(&file(80), at(79.0)), Some(80));
        assert_eq!(lifetimes.due(&file(90), at(79.0)), Some(90), "never shorter");
    }

    #[test]
    fn a_new_file_gets_what_is_taken() {
        let lifetimes = Lifetimes::new(365, Dialect::Native);
        assert_eq!(lifetimes.of_a_new_file(), 365);
        assert!(lifetimes.is_refused(365));
        assert_eq!(lifetimes.of_a_new_file(), 30);
        assert!(lifetimes.is_refused(30));
        assert_eq!(lifetimes.of_a_new_file(), 7);
        assert!(!lifetimes.is_refused(7), "there is nothing shorter to ask for");
        assert_eq!(Lifetimes::new(60, Dialect::OpenAi).of_a_new_file(), 30);
        assert_eq!(Lifetimes::new(3, Dialect::OpenAi).of_a_new_file(), 3);
    }
}
