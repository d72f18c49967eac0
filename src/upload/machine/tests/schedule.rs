//! What can happen, at random: services of every family, the steps of writers, the fates of requests.

use proptest::prelude::*;

use crate::service::{Capability, Flow, NamedAt, PartRules, SizePolicy};

/// The largest file, in bytes.
pub(super) const FILE_MAX: usize = 60;

pub(super) fn rules() -> PartRules {
    PartRules {
        size: 8,
        min: 2,
        max: 8,
        multiple: 1,
        count_max: 1000,
        first_max: None,
        hold_back: 0,
        open_after: 4,
        early: None,
        flow: Flow::Parallel(3),
        rewrite: false,
        opens_with_part: false,
        last_makes_file: false,
    }
}

pub(super) fn capability(policy: SizePolicy) -> Capability {
    Capability {
        policy,
        file_max: 1000,
        whole_max: 4,
        named_at: NamedAt::Finish,
        empty_files: true,
        directories: true,
        rename: true,
        rename_replaces: true,
        sha1: false,
    }
}

/// The policies of the services this project knows.
pub(super) fn like_a_wiki() -> Capability {
    let rules = PartRules {
        first_max: Some(3),
        hold_back: 1,
        early: Some(3),
        flow: Flow::Sequential,
        opens_with_part: true,
        last_makes_file: false,
        ..rules()
    };
    Capability { empty_files: false, sha1: true, ..capability(SizePolicy::Streamed(rules)) }
}

pub(super) fn like_s3() -> Capability {
    capability(SizePolicy::Streamed(PartRules { rewrite: true, ..rules() }))
}

pub(super) fn declared(flow: Flow) -> Capability {
    let rules = PartRules { min: 8, multiple: 8, flow, ..rules() };
    Capability { whole_max: 0, ..capability(SizePolicy::Declared(rules)) }
}

pub(super) fn whole_only() -> Capability {
    capability(SizePolicy::Whole { max: 50 })
}

/// How the service, or the way to it, treats one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Done,
    /// Done, but the answer is lost.
    DoneUnheard,
    /// Not done, and nobody knows. Of a part in a sequence the service may have taken a piece.
    LostUnheard,
    /// Definitely not done, may be tried again.
    NotNow,
    /// Refused for good.
    Never,
    /// The session is gone.
    Vanished,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(usize),
    Rewrite(usize, usize),
    Resize(usize),
    Promise(usize),
    Commit,
    Age,
    /// The n-th request under way ends like this.
    Land(usize, Fate),
    Deadline,
    Reopen,
    Interrupt,
    Discard,
    /// The process is killed; the requests under way are done, or not, by the bits of the first number; of the parts that
    /// left after the close, the journal has those of the second.
    Crash(u8, u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Done),
        2 => Just(Fate::DoneUnheard),
        2 => Just(Fate::LostUnheard),
        2 => Just(Fate::NotNow),
        1 => Just(Fate::Vanished),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..12).prop_map(Step::Append),
        1 => (0..FILE_MAX, 1usize..6).prop_map(|(at, len)| Step::Rewrite(at, len)),
        1 => (0..FILE_MAX).prop_map(Step::Resize),
        1 => (1..FILE_MAX).prop_map(Step::Promise),
        3 => Just(Step::Commit),
        2 => Just(Step::Age),
        16 => (0usize..4, fate()).prop_map(|(n, fate)| Step::Land(n, fate)),
        1 => (0usize..4).prop_map(|n| Step::Land(n, Fate::Never)),
        1 => Just(Step::Deadline),
        1 => Just(Step::Reopen),
        1 => Just(Step::Interrupt),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(done, journalled)| Step::Crash(done, journalled)),
    ]
}
