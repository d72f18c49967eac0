//! Scripted trouble: which kind of request, which occurrence of it, and what happens. A script is data: it can be set at
//! the start, through the handle, and through the control address, and it is the same every time it runs. What a fault
//! does to a request is in `apply`.

pub(super) mod apply;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// When a fault strikes, seen from what the request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Nothing of the request has been applied.
    Before,
    /// Everything was applied; only the answer suffers.
    After,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The peer gets a reset.
    Reset,
    /// The peer gets an end of file.
    Close,
    /// The peer gets nothing: the connection stays open until the peer gives up or the portal ends.
    Silence,
}

/// A fault that the service itself has to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Injection {
    /// The token of this request is not valid any more, now and later.
    ExpiredToken,
    /// The session of this request does not exist any more.
    LostSession,
    /// The quota is found to be used up at the last moment: when the file is made of its parts.
    Quota,
    /// The file of this request is locked by somebody else, as far as this request is concerned.
    Locked,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection ends and there is no answer.
    Drop {
        /// Before or after the request was applied.
        when: When,
        /// How it ends.
        how: How,
    },
    /// Somebody on the way answers instead of the service: a limiter, a proxy, a login page.
    Answer {
        /// Before or after the request was applied.
        when: When,
        /// The HTTP status.
        status: u16,
        /// Seconds, for the header `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u64>,
        /// The body; HTML when it begins with `<`, otherwise JSON when it begins with `{`, otherwise plain text.
        #[serde(default)]
        body: String,
    },
    /// It takes longer.
    Delay {
        /// Before or after the request was applied.
        when: When,
        /// Milliseconds.
        ms: u64,
    },
    /// The connection ends while the request's body arrives.
    CutRequest {
        /// After so many bytes of the body.
        at: u64,
        /// How it ends.
        how: How,
    },
    /// The connection ends while the answer's body leaves.
    CutAnswer {
        /// After so many bytes of the body.
        at: u64,
        /// How it ends.
        how: How,
    },
    /// The service itself goes wrong.
    Inject {
        /// In which way.
        what: Injection,
    },
}

/// Matches every kind of request.
pub const ANY: &str = "*";

/// A line of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The kind of request, as the service names them, or [`ANY`].
    pub kind: String,
    /// The first occurrence that it strikes, counted from 1 since the rule was set.
    #[serde(default = "first")]
    pub nth: u64,
    /// How many occurrences in a row it strikes; 0 for all that follow.
    #[serde(default = "first")]
    pub times: u64,
    /// What happens.
    pub fault: Fault,
}

fn first() -> u64 {
    1
}

impl Rule {
    /// The next request of this kind suffers `fault`.
    pub fn once(kind: &str, fault: Fault) -> Rule {
        Rule::nth(kind, 1, fault)
    }

    /// The `nth` request of this kind from now suffers `fault`.
    pub fn nth(kind: &str, nth: u64, fault: Fault) -> Rule {
        Rule { kind: kind.to_owned(), nth, times: 1, fault }
    }

    /// Every request of this kind suffers `fault`.
    pub fn always(kind: &str, fault: Fault) -> Rule {
        Rule { kind: kind.to_owned(), nth: 1, times: 0, fault }
    }

    fn strikes(&self, occurrence: u64) -> bool {
        occurrence >= self.nth && (self.times == 0 || occurrence - self.nth < self.times)
    }
}

/// Trouble by the dice, the same dice for the same seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// Of the dice.
    pub seed: u64,
    /// How many of a thousand requests suffer.
    pub per_mille: u32,
    /// Which kinds may suffer; empty for all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// One of these happens.
    pub faults: Vec<Fault>,
}

/// The script with its counters.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Script>);

#[derive(Debug, Default)]
struct Script {
    rules: Vec<(Rule, u64)>,
    random: Option<(Random, fastrand::Rng)>,
    struck: u64,
}

impl Faults {
    pub(super) fn new(rules: Vec<Rule>, random: Option<Random>) -> Self {
        let faults = Faults::default();
        rules.into_iter().for_each(|rule| faults.add(rule));
        faults.set_random(random);
        faults
    }

    pub(super) fn add(&self, rule: Rule) {
        self.script().rules.push((rule, 0));
    }

    pub(super) fn set_random(&self, random: Option<Random>) {
        self.script().random = random.map(|random| {
            let dice = fastrand::Rng::with_seed(random.seed);
            (random, dice)
        });
    }

    pub(super) fn clear(&self) {
        let mut script = self.script();
        script.rules.clear();
        script.random = None;
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.script().rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// How many faults have struck so far.
    pub(super) fn struck(&self) -> u64 {
        self.script().struck
    }

    /// What happens to the next request of this kind.
    pub(super) fn plan(&self, kind: &str) -> Vec<Fault> {
        let mut script = self.script();
        let mut plan = Vec::new();
        for (rule, seen) in &mut script.rules {
            if rule.kind == ANY || rule.kind == kind {
                *seen += 1;
                if rule.strikes(*seen) {
                    plan.push(rule.fault.clone());
                }
            }
        }
        if let Some((random, dice)) = &mut script.random {
            // The dice are thrown for every request, so that the kinds do not change what strikes whom.
            let hit = dice.u32(..1000) < random.per_mille;
            let fault = dice.choice(&random.faults);
            if hit && (random.kinds.is_empty() || random.kinds.iter().any(|one| one == kind)) {
                plan.extend(fault.cloned());
            }
        }
        script.struck += plan.len() as u64;
        plan
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Fault = Fault::Answer { when: When::Before, status: 503, retry_after_s: None, body: String::new() };
    const SLOW: Fault = Fault::Delay { when: When::After, ms: 5 };

    #[test]
    fn a_rule_strikes_its_occurrences_of_its_kind() {
        let rules = vec![Rule { times: 2, ..Rule::nth("chunk", 2, BUSY) }, Rule::once(ANY, SLOW)];
        let faults = Faults::new(rules, None);
        assert_eq!(faults.plan("list"), [SLOW]);
        let plans: Vec<_> = (0..4).map(|_| faults.plan("chunk")).collect();
        assert_eq!(plans, [vec![], vec![BUSY], vec![BUSY], vec![]]);
        assert_eq!(faults.struck(), 3);
        faults.clear();
        assert_eq!(faults.plan("chunk"), []);
    }

    #[test]
    fn a_rule_without_an_end_strikes_on() {
        let faults = Faults::new(vec![Rule::always("chunk", BUSY)], None);
        assert!((0..9).all(|_| faults.plan("chunk") == [BUSY]));
    }

    #[test]
    fn the_same_seed_is_the_same_trouble() {
        let random = |seed| Random { seed, per_mille: 300, kinds: vec![], faults: vec![BUSY, SLOW] };
        let run = |seed| -> Vec<_> {
            let faults = Faults::new(vec![], Some(random(seed)));
            (0..200).map(|_| faults.plan("chunk")).collect()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let struck = run(7).iter().filter(|plan| !plan.is_empty()).count();
        assert!((30..90).contains(&struck), "{struck} of 200");
    }

    #[test]
    fn a_script_is_written_as_json() {
        let text = r#"{"kind": "chunk", "nth": 2, "fault": {"do": "answer", "when": "before", "status": 429, "retry_after_s": 3}}"#;
        let fault = Fault::Answer { when: When::Before, status: 429, retry_after_s: Some(3), body: String::new() };
        assert_eq!(serde_json::from_str::<Rule>(text).unwrap(), Rule::nth("chunk", 2, fault));
        let all = [
            Fault::Drop { when: When::After, how: How::Silence },
            Fault::CutRequest { at: 9, how: How::Reset },
            Fault::CutAnswer { at: 9, how: How::Close },
            Fault::Inject { what: Injection::LostSession },
            SLOW,
        ];
        for fault in all {
            let text = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault, "{text}");
        }
        assert!(serde_json::from_str::<Rule>(r#"{"kind": "chunk", "fault": {"do": "explode"}}"#).is_err());
    }
}
