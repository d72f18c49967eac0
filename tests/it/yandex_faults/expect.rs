//! What a program may be told after a fault: which faults an upload survives, and which errno the others have.

use uploadfs::portal::faults::{Fault, Injection, Rule, When};

pub(super) use crate::support::desk::Told;

/// The network, or somebody on the way.
const TROUBLE: &[i32] = &[libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::EIO];
/// The same, where the new file is there and only the old one does not go.
const LEFT: &[i32] = &[libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::EIO, libc::EAGAIN, libc::EBUSY, libc::EACCES];

/// What a program may be told, or nothing where the fault has no meaning.
pub(super) fn told(rule: &Rule) -> Option<Told> {
    let kind = rule.kind.as_str();
    let lasts = rule.times == 0;
    let has_body = matches!(kind, "create_session" | "part" | "attach");
    match &rule.fault {
        Fault::Inject { what: Injection::Quota } => {
            matches!(kind, "create_session" | "finish" | "attach").then_some(Told::Errno(&[libc::EDQUOT]))
        }
        Fault::Inject { what: Injection::Locked } => match kind {
            "attach" => Some(Told::Errno(&[libc::EBUSY])),
            "delete_attachment" if lasts => Some(Told::Errno(&[libc::EBUSY])),
            "delete_attachment" => Some(Told::Success),
            _ => None,
        },
        Fault::Inject { what: Injection::LostSession } => match kind {
            "part" | "finish" if lasts => Some(Told::Errno(&[libc::EIO])),
            "part" | "finish" => Some(Told::Success),
            _ => None,
        },
        Fault::Inject { what: Injection::ExpiredToken } if kind == "stored" => None,
        Fault::Inject { what: Injection::ExpiredToken } if lasts => Some(Told::Either(&[libc::EACCES, libc::EIO])),
        Fault::Inject { what: Injection::ExpiredToken } => Some(Told::Success),
        Fault::Delay { .. } => Some(Told::Success),
        // Nothing is cut where there is no body.
        Fault::CutRequest { .. } if !has_body => None,
        _ if !lasts => Some(Told::Success),
        _ if kind == "delete_attachment" => Some(Told::Either(LEFT)),
        Fault::Answer { status: 429, .. } => Some(Told::Errno(&[libc::EAGAIN])),
        Fault::Answer { status: 500, .. } => Some(errno_or_done(rule, &[libc::EIO])),
        // Of these nobody knows whether they went further, whatever else they are told.
        Fault::Answer { status: 503, retry_after_s: Some(_), .. }
            if !matches!(kind, "create_session" | "finish" | "attach") =>
        {
            Some(Told::Errno(&[libc::EBUSY]))
        }
        _ => Some(errno_or_done(rule, TROUBLE)),
    }
}

/// Whose answer is lost although it was done may find that out by asking.
fn errno_or_done(rule: &Rule, errnos: &'static [i32]) -> Told {
    match &rule.fault {
        Fault::Answer { when: When::Before, .. }
        | Fault::Drop { when: When::Before, .. }
        | Fault::CutRequest { .. } => Told::Errno(errnos),
        _ => Told::Either(errnos),
    }
}

/// How many sessions may be left that nobody can find again: those whose making was answered to nobody.
pub(super) fn orphans_max(rule: &Rule) -> usize {
    let makes = rule.kind == "create_session";
    let is_lost = match &rule.fault {
        Fault::Answer { when, .. } | Fault::Drop { when, .. } => *when == When::After,
        Fault::CutAnswer { .. } => true,
        _ => false,
    };
    match (makes && is_lost, rule.times) {
        (false, _) => 0,
        (true, 0) => usize::MAX,
        (true, times) => usize::try_from(times).unwrap(),
    }
}
