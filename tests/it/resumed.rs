//! Uploads that a process has left in the middle, and another one takes over: it has the first one's journal (the session,
//! the receipts, what was asked) and nothing else. It must send what is missing and no more, make the file once, and never
//! take for the file what only looks like it. The cases are in `cases`, what passes between the processes in `journal`; then
//! each service. MediaWiki runs on its real servers.

mod cases;
mod cloud;
mod journal;
mod memory;
mod office;
mod wiki;
mod yandex;

use std::sync::Arc;
use std::time::Duration;

use uploadfs::portal::Portal;
use uploadfs::service::{Service, Spec};

use crate::support::clock::Line;
