//! What is held and how it is read: views, gaps, spilled bytes, truncation, release, accounting.

use super::*;
use crate::error::Kind;

#[tokio::test]
async fn pieces_are_in_order_and_without_gaps() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    assert_eq!(content.pieces(5..10), [Piece::Missing(5..10)]);
    assert_eq!(content.write(100, &bytes(1, 100..200)), 100);
    assert_eq!(content.write(CHUNK - 10, &bytes(1, CHUNK - 10..CHUNK + 10)), 20);
    let pieces = content.pieces(0..2 * CHUNK);
    assert_eq!(
        pieces,
        [
            Piece::Missing(0..100),
            Piece::Memory(bytes(1, 100..200).into()),
            Piece::Missing(200..CHUNK - 10),
            Piece::Memory(bytes(1, CHUNK - 10..CHUNK).into()),
            Piece::Memory(bytes(1, CHUNK..CHUNK + 10).into()),
            Piece::Missing(CHUNK + 10..2 * CHUNK),
        ]
    );
    assert_eq!(content.piece(150, 10), Piece::Memory(bytes(1, 150..160).into()));
    assert_eq!(content.piece(199, u64::MAX), Piece::Memory(bytes(1, 199..200).into()));
    assert_eq!(content.piece(200, 7), Piece::Missing(200..207));
    assert_eq!(content.piece(1 << 40, u64::MAX), Piece::Missing(1 << 40..u64::MAX));
    assert_eq!(content.held(), 120);
    assert!(content.holds(CHUNK - 10..CHUNK + 10) && content.holds(7..7) && !content.holds(99..101));
    assert_eq!(content.read(0, 10).await.unwrap(), None);
}

#[test]
fn a_view_stays_as_it_was() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    content.write(0, &[1; 100]);
    let Piece::Memory(view) = content.piece(0, 100) else { panic!("just written") };
    content.write(50, &[2; 100]);
    content.fill(200, &[3; 10]);
    content.truncate(10);
    content.write(0, &[4; 10]);
    assert_eq!(view.as_ref(), [1; 100]);
    drop(content);
    assert_eq!(view.as_ref(), [1; 100]);
    assert_eq!(cache.usage().memory_bytes, CHUNK, "a view counts");
    drop(view);
    assert_eq!(cache.usage().memory_bytes, 0);
}

#[test]
fn a_write_beside_a_view_keeps_the_rest_of_the_chunk() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    content.write(CHUNK, &bytes(1, CHUNK..CHUNK + 1000));
    let view = content.piece(CHUNK, 1000);
    content.write(CHUNK + 500, &[0; 100]);
    let mut expected = bytes(1, CHUNK..CHUNK + 1000);
    expected[500..600].fill(0);
    assert_eq!(content.piece(CHUNK, 1000), Piece::Memory(expected.into()));
    assert_eq!(view, Piece::Memory(bytes(1, CHUNK..CHUNK + 1000).into()));
}

#[test]
fn a_fill_puts_only_what_is_missing() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    content.write(10, &[1; 10]);
    content.write(CHUNK - 5, &[1; 10]);
    content.fill(0, &vec![2; 2 * CHUNK as usize]);
    let mut expected = vec![2; 2 * CHUNK as usize];
    expected[10..20].fill(1);
    expected[CHUNK as usize - 5..CHUNK as usize + 5].fill(1);
    let joined: Vec<u8> = content
        .pieces(0..2 * CHUNK)
        .into_iter()
        .flat_map(|piece| match piece {
            Piece::Memory(bytes) => bytes.to_vec(),
            elsewhere => panic!("{elsewhere:?}"),
        })
        .collect();
    assert_eq!(joined, expected);
}

#[tokio::test]
async fn what_is_kept_is_spilled_and_what_is_spilled_is_read() {
    let (cache, home) = cache(8, PLENTY);
    let content = cache.content();
    content.keep();
    let end = 40 * CHUNK + 123;
    write_all(&content, 7, &bytes(1, 7..end)).await;
    let (_, spooled, missing) = places(&content, 7..end);
    assert!(spooled >= 32 * CHUNK, "{spooled}");
    assert_eq!(missing, 0);
    assert_eq!(content.held(), end - 7);
    assert!(cache.usage().spooled_bytes >= spooled && cache.usage().memory_bytes <= 8 * CHUNK);
    assert_eq!(read_all(&content, 7..end).await, bytes(1, 7..end));
    // One piece of the spool is never more than a chunk, so that reading it cannot take all memory.
    assert!(content.pieces(0..end).iter().all(|piece| piece.len() <= CHUNK));
    // A fill leaves spilled bytes alone.
    content.fill(0, &vec![0; end as usize]);
    assert_eq!(read_all(&content, 7..end).await, bytes(1, 7..end));
    drop(content);
    settle(&cache).await;
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lock"], "nothing is left behind");
}

#[tokio::test]
async fn many_small_files_are_spilled_like_large_ones() {
    let (cache, _home) = cache(8, PLENTY);
    let contents: Vec<_> = (0..100).map(|_| cache.content()).collect();
    for (seed, content) in contents.iter().enumerate() {
        content.keep();
        write_all(content, 3, &bytes(seed as u64, 3..50)).await;
    }
    for (seed, content) in contents.iter().enumerate() {
        assert_eq!(read_all(content, 3..50).await, bytes(seed as u64, 3..50));
    }
    assert!(cache.usage().spooled_bytes >= 90 * CHUNK, "each takes a block of the disk");
    drop(contents);
    settle(&cache).await;
    assert_eq!((cache.usage().spooled_bytes, cache.usage().memory_bytes), (0, 0));
}

#[tokio::test]
async fn overwritten_bytes_hide_spilled_ones() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    content.keep();
    let end = 20 * CHUNK;
    write_all(&content, 0, &bytes(1, 0..end)).await;
    let spooled = content.pieces(0..end).into_iter().find_map(|piece| match piece {
        Piece::Spooled(range) => Some(range),
        _ => None,
    });
    let range = spooled.expect("twenty chunks do not fit into eight buffers");
    write_all(&content, range.start + 10, &[0; 20]).await;
    let mut expected = bytes(1, range.clone());
    expected[10..30].fill(0);
    assert_eq!(content.read_spooled(range.clone()).await.unwrap().as_ref(), expected);
    // Pushed out once more: the newer bytes win in the file, too.
    write_all(&content, end, &bytes(1, end..2 * end)).await;
    assert_eq!(content.read_spooled(range.clone()).await.unwrap().as_ref(), expected);

    content.truncate(range.start + 15);
    assert_eq!(content.read_spooled(range.clone()).await.unwrap().as_ref(), &expected[..15]);
    assert_eq!(content.piece(range.start + 15, 10), Piece::Missing(range.start + 15..range.start + 25));
    content.release();
    assert!(content.read_spooled(range).await.unwrap().len() <= 15);
}

#[tokio::test]
async fn truncation_gives_disk_space_back_and_later_writes_stand() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    content.keep();
    let end = 40 * CHUNK;
    write_all(&content, 0, &bytes(1, 0..end)).await;
    content.truncate(2 * CHUNK + 5);
    settle(&cache).await;
    assert!(cache.usage().spooled_bytes <= 3 * CHUNK);
    assert_eq!(places(&content, 0..end), (0, 2 * CHUNK + 5, end - 2 * CHUNK - 5));
    // The cut and the next spills race in the spool thread; the cut must never hit newer bytes.
    for seed in 2..30 {
        content.truncate(CHUNK);
        write_all(&content, CHUNK, &bytes(seed, CHUNK..end)).await;
        assert_eq!(read_all(&content, CHUNK..end).await, bytes(seed, CHUNK..end));
    }
    assert_eq!(read_all(&content, 0..CHUNK).await, bytes(1, 0..CHUNK));
}

#[tokio::test]
async fn release_gives_disk_space_back_and_a_kept_one_begins_anew() {
    let (cache, _home) = cache(8, PLENTY);
    let content = cache.content();
    let end = 20 * CHUNK;
    for seed in 0..20 {
        content.keep();
        write_all(&content, 0, &bytes(seed, 0..end)).await;
        assert_eq!(read_all(&content, 0..end).await, bytes(seed, 0..end));
        content.release();
        let (in_memory, spooled, _) = places(&content, 0..end);
        assert_eq!(spooled, 0);
        assert_eq!(content.held(), in_memory);
        settle(&cache).await;
        assert_eq!(cache.usage().spooled_bytes, 0);
    }
}

#[test]
fn droppable_content_needs_no_disk() {
    let (cache, _home) = cache(8, 0);
    let content = cache.content();
    let end = 100 * CHUNK;
    assert_eq!(content.write(0, &bytes(1, 0..end)) as u64, end);
    assert!(content.holds(end - CHUNK..end), "the newest are there");
    assert!(!content.holds(0..1), "the oldest are not");
    assert!(cache.usage().memory_bytes <= 8 * CHUNK);
}

#[tokio::test]
async fn a_failed_read_is_told_and_passes() {
    let (cache, faults, _home) = cache_on_faulty_disk(4);
    let content = cache.content();
    content.keep();
    write_all(&content, 0, &bytes(1, 0..10 * CHUNK)).await;
    faults.read.store(libc::EIO, Ordering::SeqCst);
    let error = content.read(0, 10).await.unwrap_err();
    assert_eq!((error.kind, error.errno()), (Kind::Spool, libc::EIO));
    faults.read.store(0, Ordering::SeqCst);
    assert_eq!(read_all(&content, 0..10 * CHUNK).await, bytes(1, 0..10 * CHUNK));
}

#[test]
fn sizes_that_cannot_work_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let good = config(home.path(), 8, 0);
    for (memory_bytes, chunk_bytes) in [(1 << 20, 2048), (1 << 20, 5000), (3 * CHUNK, CHUNK), (1 << 20, 0)] {
        let config = CacheConfig { memory_bytes, chunk_bytes, ..good.clone() };
        assert_eq!(Cache::open(config).err().map(|error| error.kind), Some(Kind::Invalid));
    }
}

#[test]
fn one_cache_per_spool_directory() {
    let (cache, home) = cache(8, 0);
    let content = cache.content();
    drop(cache);
    let again = || Cache::open(config(home.path(), 8, 0));
    assert_eq!(again().err().map(|error| error.kind), Some(Kind::Busy), "a content keeps its cache");
    drop(content);
    again().unwrap();
}
