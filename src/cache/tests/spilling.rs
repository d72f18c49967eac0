//! What may happen between the moment a chunk is taken to be spilled and the moment it is on disk; without a disk.

use crate::cache::pool::Pool;
use crate::cache::state::{Put, Snapshot, State};
use crate::spool::EntryId;

use super::*;

/// A kept content with one chunk of ten bytes at 5, and that chunk on its way to the spool.
fn on_its_way(pool: &Arc<Pool>) -> (State, Snapshot) {
    let mut state = State::new(CHUNK);
    state.keep();
    state.write(5, &[1; 10], &mut pool.take(0));
    let snapshot = state.snapshot(0, EntryId(1)).expect("the chunk is in memory and kept");
    (state, snapshot)
}

fn pool() -> Arc<Pool> {
    Pool::new(4, CHUNK as usize)
}

#[test]
fn an_unchanged_chunk_leaves_memory() {
    let pool = pool();
    let (mut state, snapshot) = on_its_way(&pool);
    assert_eq!(snapshot.parts().collect::<Vec<_>>(), [(5, [1; 10].as_slice())]);
    assert!(state.spilled(0, &snapshot).is_some());
    assert_eq!((state.chunks(), state.held()), (0, 10));
    assert_eq!(state.piece(0, 20), Piece::Missing(0..5));
    assert_eq!(state.piece(5, 20), Piece::Spooled(5..15));
    drop(snapshot);
    assert_eq!(pool.used(), 0);
}

#[test]
fn a_changed_chunk_stays_in_memory() {
    type Change = fn(&mut State, &Arc<Pool>);
    let changes: [Change; 5] = [
        |state, pool| assert_eq!(state.write(7, &[2; 1], &mut pool.take(0)), Put::Touched),
        |state, pool| assert_eq!(state.fill(0, &[2; 6], &mut pool.take(0)), Put::Touched),
        |state, _| assert!(state.truncate(10).gone.is_empty()),
        |state, _| assert_eq!(state.release(), Some(EntryId(1))),
        |state, _| {
            state.release();
            state.keep();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let pool = pool();
        let (mut state, snapshot) = on_its_way(&pool);
        change(&mut state, &pool);
        let held = state.held();
        assert!(state.spilled(0, &snapshot).is_none(), "change {number}");
        assert_eq!((state.chunks(), state.held()), (1, held), "change {number}");
        assert!(matches!(state.piece(5, 20), Piece::Memory(_)), "change {number}");
    }
}

#[test]
fn a_chunk_that_is_gone_does_not_come_back() {
    let (mut state, snapshot) = on_its_way(&pool());
    state.truncate(0);
    assert!(state.spilled(0, &snapshot).is_none());
    assert_eq!((state.held(), state.piece(5, 20)), (0, Piece::Missing(5..20)));
}

#[test]
fn a_cut_comes_before_what_is_spilled_next_and_only_once() {
    let pool = pool();
    let (mut state, snapshot) = on_its_way(&pool);
    state.spilled(0, &snapshot);
    assert!(state.truncate(9).must_cut);
    assert!(!state.truncate(7).must_cut, "somebody was told already");
    state.truncate(8);
    state.write(9, &[2; 10], &mut pool.take(0));
    let next = state.snapshot(0, EntryId(2)).expect("just written");
    assert_eq!((next.spill, next.cut), (EntryId(1), Some(7)));
    assert_eq!(state.take_cut(), None, "it would hit the bytes that are being spilled");
}

#[test]
fn what_is_droppable_is_never_spilled() {
    let mut state = State::new(CHUNK);
    state.write(0, b"x", &mut pool().take(0));
    assert!(state.snapshot(0, EntryId(1)).is_none());
    assert!(!state.truncate(0).must_cut);
}
