//! The upload of one file: what has to be sent, in which parts, what became of it.
//!
//! * [`plan`]: the arithmetic of parts. Pure.
//! * [`machine`]: events in, actions out; every rule about order, doubt, restarts and answers. Pure.

use std::time::Duration;

pub mod machine;
pub mod plan;

/// How long bytes wait before a session is opened for them, or a part that is not full leaves.
pub const AGE: Duration = Duration::from_secs(1);
