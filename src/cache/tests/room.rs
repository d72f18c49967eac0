//! Who gets memory when it is short: limits, the reserve of readers, waiting, a full spool and a failing disk.

use std::pin::Pin;
use std::task::{Context, Waker};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::*;
use crate::cache::ROOM_WAIT;
use crate::error::Kind;

/// With eight buffers: one content may have six of them, one is left to readers.
const BUFFERS: u64 = 8;
const CONTENT_MAX: u64 = 6;

/// Whether a wait goes on. Polls it, so that it counts as waiting from then on.
fn is_parked(wait: &mut Pin<Box<impl Future<Output = crate::error::Result<()>>>>) -> bool {
    wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Kept content that takes all it gets; says how many bytes that were.
fn greedy(cache: &Arc<Cache>, seed: u64) -> (CachedContent, u64) {
    let content = cache.content();
    content.keep();
    let taken = content.write(0, &bytes(seed, 0..2 * BUFFERS * CHUNK)) as u64;
    (content, taken)
}

#[tokio::test]
async fn one_content_does_not_get_everything() {
    let (cache, _home) = cache(BUFFERS, 0);
    let (first, taken) = greedy(&cache, 1);
    assert_eq!(taken, CONTENT_MAX * CHUNK);
    let (second, taken) = greedy(&cache, 2);
    assert_eq!(taken, CHUNK);
    assert_eq!(read_all(&first, 0..CONTENT_MAX * CHUNK).await, bytes(1, 0..CONTENT_MAX * CHUNK));
    assert_eq!(read_all(&second, 0..CHUNK).await, bytes(2, 0..CHUNK));
}

#[test]
fn a_droppable_content_at_its_limit_forgets_its_own_oldest() {
    let (cache, _home) = cache(BUFFERS, 0);
    let other = cache.content();
    other.write(0, &bytes(2, 0..1));
    let content = cache.content();
    for index in 0..100 {
        content.write(index * CHUNK, &bytes(1, index * CHUNK..(index + 1) * CHUNK));
        // Keeps it from being the oldest, as in real use.
        other.pieces(0..1);
    }
    assert!(other.holds(0..1));
    assert!(content.held() <= CONTENT_MAX * CHUNK);
}

#[tokio::test]
async fn readers_have_buffers_while_writers_are_parked() {
    let (cache, _home) = cache(BUFFERS, 0);
    let (first, _) = greedy(&cache, 1);
    let (second, _) = greedy(&cache, 2);
    let (mut first_waits, mut second_waits) = (Box::pin(first.room()), Box::pin(second.room()));
    assert!(is_parked(&mut first_waits) && is_parked(&mut second_waits));
    assert_eq!(cache.usage().writers_waiting, 2);

    let reader = cache.content();
    for index in 0..50 {
        let range = index * CHUNK..(index + 1) * CHUNK;
        // Best effort: at this very moment the thread of the spool may be giving the readers' buffer back.
        for _ in 0..100_000 {
            reader.fill(range.start, &bytes(3, range.clone()));
            if reader.holds(range.clone()) {
                break;
            }
            std::thread::yield_now();
        }
        assert!(reader.holds(range), "chunk {index}");
        assert_eq!(second.write(CHUNK, b"x"), 0, "a writer does not take what a reader may use");
    }
    // Its own file's reader is served as well.
    drop(reader);
    first.fill(50 * CHUNK, b"from the service");
    assert!(first.holds(50 * CHUNK..50 * CHUNK + 16));
    drop((first_waits, second_waits));
    assert_eq!(cache.usage().writers_waiting, 0);
}

#[tokio::test]
async fn a_parked_writer_goes_on_when_another_content_is_released_or_dropped() {
    let (cache, _home) = cache(BUFFERS, 0);
    let (first, _) = greedy(&cache, 1);
    let (second, taken) = greedy(&cache, 2);
    let mut waits = Box::pin(second.room());
    assert!(is_parked(&mut waits));
    first.release();
    waits.await.unwrap();
    let more = second.write(taken, &bytes(2, taken..2 * BUFFERS * CHUNK)) as u64;
    assert!(more >= CHUNK);

    let (third, _) = greedy(&cache, 3);
    let mut waits = Box::pin(third.room());
    assert!(is_parked(&mut waits));
    drop(first);
    drop(second);
    waits.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_is_told_after_the_wait_and_loses_nothing() {
    for spool_bytes_max in [0, CHUNK + 100, 3 * CHUNK] {
        let (cache, _home) = cache(BUFFERS, spool_bytes_max);
        let content = cache.content();
        content.keep();
        let all = bytes(1, 0..4 * BUFFERS * CHUNK);
        let mut taken = 0;
        // Spilling is real work while the clock is not real: what may still be spilled is waited for here.
        loop {
            taken += content.write(taken as u64, &all[taken..]);
            settle(&cache).await;
            if content.room().now_or_never().is_none() {
                break;
            }
        }
        let begun = Instant::now();
        let error = content.room().await.unwrap_err();
        assert_eq!((error.kind, error.errno()), (Kind::SpoolFull, libc::ENOSPC), "{error}");
        assert!(begun.elapsed() >= ROOM_WAIT);
        let end = taken as u64;
        assert_eq!(end, (CONTENT_MAX + spool_bytes_max / CHUNK) * CHUNK);
        assert_eq!(read_all(&content, 0..end).await, all[..taken]);
        assert!(cache.usage().spooled_bytes <= spool_bytes_max);
        assert_eq!(cache.usage().writers_waiting, 0);
    }
}

#[tokio::test]
async fn disk_space_that_comes_back_lets_a_writer_go_on() {
    let (cache, _home) = cache(BUFFERS, 4 * CHUNK);
    let old = cache.content();
    old.keep();
    write_all(&old, 0, &bytes(1, 0..4 * CHUNK)).await;
    // Each new chunk pushes the oldest out, which are the old one's, until the spool is full and then memory.
    let mut others = Vec::new();
    loop {
        let content = cache.content();
        content.keep();
        let taken = content.write(0, &bytes(2, 0..CHUNK));
        others.push(content);
        settle(&cache).await;
        if taken == 0 {
            break;
        }
    }
    assert_eq!(others.len() as u64, BUFFERS, "one buffer is left to readers, and one content waits");
    let last = others.last().expect("there are eight");
    let mut waits = Box::pin(last.room());
    assert!(is_parked(&mut waits));
    drop(old);
    waits.await.unwrap();
    write_all(last, 0, &bytes(2, 0..CHUNK)).await;
    for content in &others {
        assert_eq!(read_all(content, 0..CHUNK).await, bytes(2, 0..CHUNK));
    }
}

#[tokio::test]
async fn a_failing_disk_is_told_at_once_and_loses_nothing() {
    for broken in ["create", "write"] {
        let (cache, faults, _home) = cache_on_faulty_disk(BUFFERS);
        let fault = if broken == "create" { &faults.create } else { &faults.write };
        fault.store(libc::EIO, Ordering::SeqCst);
        let (content, taken) = greedy(&cache, 1);
        assert_eq!(taken, CONTENT_MAX * CHUNK);
        let error = content.room().await.unwrap_err();
        assert_eq!((error.kind, error.errno()), (Kind::Spool, libc::EIO), "{broken}");
        assert_eq!(read_all(&content, 0..taken).await, bytes(1, 0..taken));

        fault.store(0, Ordering::SeqCst);
        let end = 5 * BUFFERS * CHUNK;
        write_all(&content, taken, &bytes(1, taken..end)).await;
        assert_eq!(read_all(&content, 0..end).await, bytes(1, 0..end));
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_for_real_is_a_full_spool() {
    let (cache, faults, _home) = cache_on_faulty_disk(BUFFERS);
    faults.write.store(libc::ENOSPC, Ordering::SeqCst);
    let (content, taken) = greedy(&cache, 1);
    settle(&cache).await;
    let error = content.room().await.unwrap_err();
    assert_eq!((error.kind, error.errno()), (Kind::SpoolFull, libc::ENOSPC));
    assert_eq!(read_all(&content, 0..taken).await, bytes(1, 0..taken));
}

#[tokio::test]
async fn a_full_disk_is_not_asked_for_as_long_as_somebody_waits() {
    let (cache, faults, _home) = cache_on_faulty_disk(BUFFERS);
    faults.write.store(libc::ENOSPC, Ordering::SeqCst);
    let (content, _) = greedy(&cache, 1);
    let (other, _) = greedy(&cache, 2);
    let (mut waits, mut other_waits) = (Box::pin(content.room()), Box::pin(other.room()));
    for _ in 0..20 {
        assert!(is_parked(&mut waits) && is_parked(&mut other_waits));
        settle(&cache).await;
    }
    // Each write and each wait may ask once, for room in the pool and for room in its content.
    let refused = faults.refused.load(Ordering::SeqCst);
    assert!((1..=8).contains(&refused), "{refused}");
    faults.write.store(0, Ordering::SeqCst);
    drop(other_waits);
    drop(other);
    waits.await.unwrap();
}

#[tokio::test]
async fn a_writer_waits_for_a_view_when_there_is_no_buffer_for_a_copy() {
    let (cache, _home) = cache(BUFFERS, 0);
    let (content, taken) = greedy(&cache, 1);
    let (_other, _) = greedy(&cache, 2);
    let view = content.piece(0, 10);
    assert_eq!(content.write(5, b"new"), 0);
    let mut waits = Box::pin(content.room());
    assert!(is_parked(&mut waits));
    drop(view);
    assert!(waits.now_or_never().expect("the view is gone").is_ok());
    assert_eq!(content.write(5, b"new"), 3);
    let mut expected = bytes(1, 0..taken);
    expected[5..8].copy_from_slice(b"new");
    assert_eq!(read_all(&content, 0..taken).await, expected);
}

#[tokio::test]
async fn uploads_do_not_change_what_is_evicted_next() {
    let (cache, _home) = cache(BUFFERS, 0);
    let content = cache.content();
    (0..5).for_each(|index| assert_eq!(content.write(index * CHUNK, &[1; CHUNK as usize]), CHUNK as usize));
    content.piece(0, CHUNK);
    content.pieces(CHUNK..2 * CHUNK);
    while content.held() == 5 * CHUNK {
        let more = cache.content();
        more.write(0, b"x");
        more.write(CHUNK, b"x");
        more.write(2 * CHUNK, b"x");
        more.write(3 * CHUNK, b"x");
        settle(&cache).await;
    }
    assert!(!content.holds(0..1), "read for an upload, and still the oldest");
    assert!(content.holds(CHUNK..2 * CHUNK), "read by a program, and not the oldest any more");
}
