//! What a program may be told after a fault: which faults an upload survives, and which errno the others have.

use uploadfs::portal::faults::{Fault, Injection, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use super::site::{Before, Scene, Size};
pub(super) use crate::support::desk::Told;

/// The network, or somebody on the way.
const TROUBLE: &[i32] = &[libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::EIO];

/// What a program may be told, or nothing where the fault has no meaning. `count` requests of this kind belong to the
/// upload.
pub(super) fn told(scene: Scene, rule: &Rule, count: u64) -> Option<Told> {
    let kind = rule.kind.as_str();
    let lasts = rule.times == 0;
    let has_numbers = scene.has_versions();
    // The request that makes the file.
    let is_last = match (scene.size, kind) {
        (Size::Large, "finalize") => true,
        (Size::Large, "chunk") if has_numbers => false,
        (_, "chunk") => lasts || rule.nth == count,
        _ => false,
    };
    let opens = matches!(kind, "create_session" | "edit_session");
    match &rule.fault {
        Fault::Inject { what: Injection::Quota } if matches!(kind, "chunk" | "finalize") => {
            Some(if is_last { Told::Errno(&[libc::EDQUOT]) } else { Told::Success })
        }
        Fault::Inject { what: Injection::Quota } => None,
        Fault::Inject { what: Injection::Locked } if opens => Some(match (scene.before, scene.generation) {
            (Before::Nothing, _) => Told::Success,
            // Its words are those of a missing right, and a file that is unlocked again says nothing else.
            (Before::Old, Generation::G1) => Told::Errno(&[libc::EBUSY, libc::EACCES]),
            (Before::Old, _) => Told::Errno(&[libc::EBUSY]),
        }),
        Fault::Inject { what: Injection::Locked } => None,
        Fault::Inject { what: Injection::LostSession } => match kind {
            "chunk" | "finalize" if lasts => Some(Told::Errno(&[libc::EIO])),
            "chunk" | "finalize" => Some(Told::Success),
            _ => None,
        },
        Fault::Inject { what: Injection::ExpiredToken } => match kind {
            "version" | "settings" | "sign_in" => None,
            "chunk" if scene.generation == Generation::G0 => Some(Told::Success),
            _ if lasts => Some(Told::Either(&[libc::EACCES, libc::EIO])),
            _ => Some(Told::Success),
        },
        Fault::Delay { .. } => Some(Told::Success),
        // Nothing is cut where there is no body, and nobody may look at it.
        Fault::CutRequest { .. } if !matches!(kind, "sign_in" | "create_session" | "edit_session" | "chunk") => None,
        _ if !lasts => Some(Told::Success),
        Fault::Answer { status: 429, .. } => Some(Told::Errno(&[libc::EAGAIN])),
        Fault::Answer { status: 500, .. } => Some(errno_or_done(rule, &[libc::EIO])),
        Fault::Answer { status: 503, retry_after_s: Some(_), .. } => Some(Told::Errno(&[libc::EBUSY])),
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
