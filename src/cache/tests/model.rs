//! Random histories of a few contents under a budget so small that everything is evicted and spilled all the time,
//! against a plain model of what each byte may be.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// Bytes of each file: several times the memory of the cache.
const SIZE: u64 = 6 * CHUNK;
const CONTENTS: usize = 3;
/// Views held at the same time; more would keep all buffers of the smallest cache, and a writer would wait for ever.
const VIEWS_MAX: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    Write(usize, Range<u64>, u8),
    Fill(usize, Range<u64>, u8),
    Truncate(usize, u64),
    Keep(usize),
    Release(usize),
    Look(usize, u64),
    Renew(usize),
}

fn range() -> impl Strategy<Value = Range<u64>> {
    let len = prop_oneof![1..40u64, 1..2 * CHUNK, Just(CHUNK)];
    (0..SIZE, len, any::<bool>()).prop_map(|(start, len, aligned)| {
        let start = if aligned { start / CHUNK * CHUNK } else { start };
        start..(start + len).min(SIZE)
    })
}

fn op() -> impl Strategy<Value = Op> {
    let content = 0..CONTENTS;
    prop_oneof![
        12 => (content.clone(), range(), any::<u8>()).prop_map(|(c, r, b)| Op::Write(c, r, b)),
        5 => (content.clone(), range(), any::<u8>()).prop_map(|(c, r, b)| Op::Fill(c, r, b)),
        2 => (content.clone(), 0..SIZE).prop_map(|(c, size)| Op::Truncate(c, size)),
        3 => content.clone().prop_map(Op::Keep),
        1 => content.clone().prop_map(Op::Release),
        3 => (content.clone(), 0..SIZE).prop_map(|(c, at)| Op::Look(c, at)),
        1 => content.prop_map(Op::Renew),
    ]
}

/// What a byte may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Byte {
    /// Nobody put anything there.
    Nothing,
    /// Missing or one of these. More than one after a fill of a place from which a byte may have been dropped before.
    Maybe(Vec<u8>),
    /// This.
    Surely(u8),
}

struct File {
    content: CachedContent,
    kept: bool,
    model: Vec<Byte>,
}

impl File {
    fn new(cache: &Arc<Cache>) -> File {
        File { content: cache.content(), kept: false, model: vec![Byte::Nothing; SIZE as usize] }
    }

    fn part(&mut self, range: &Range<u64>) -> &mut [Byte] {
        &mut self.model[range.start as usize..range.end as usize]
    }

    async fn write(&mut self, range: Range<u64>, value: u8) {
        let data = pattern(&range, value);
        write_all(&self.content, range.start, &data).await;
        let kept = self.kept;
        for (byte, value) in self.part(&range).iter_mut().zip(data) {
            *byte = if kept { Byte::Surely(value) } else { Byte::Maybe(vec![value]) };
        }
    }

    fn fill(&mut self, range: Range<u64>, value: u8) {
        let data = pattern(&range, value);
        self.content.fill(range.start, &data);
        for (byte, value) in self.part(&range).iter_mut().zip(data) {
            match byte {
                Byte::Nothing => *byte = Byte::Maybe(vec![value]),
                Byte::Maybe(values) => values.push(value),
                Byte::Surely(_) => {}
            }
        }
    }

    fn truncate(&mut self, size: u64) {
        self.content.truncate(size);
        self.part(&(size..SIZE)).fill(Byte::Nothing);
    }

    fn keep(&mut self) {
        self.content.keep();
        self.kept = true;
    }

    fn release(&mut self) {
        self.content.release();
        self.kept = false;
        for byte in &mut self.model {
            if let Byte::Surely(value) = *byte {
                *byte = Byte::Maybe(vec![value]);
            }
        }
    }

    /// Compares everything that is held with the model; what is seen of a kept content is certain from then on.
    async fn check(&mut self) {
        let mut at = 0;
        let mut held = 0;
        for piece in self.content.pieces(0..SIZE) {
            let range = at..at + piece.len();
            at = range.end;
            let seen = match piece {
                Piece::Memory(bytes) => Some(bytes),
                Piece::Spooled(spooled) => {
                    assert_eq!(spooled, range);
                    assert!(self.kept, "only what is kept is spooled");
                    Some(self.content.read_spooled(spooled).await.unwrap())
                }
                Piece::Missing(missing) => {
                    assert_eq!(missing, range);
                    None
                }
            };
            held += seen.as_ref().map_or(0, |bytes| bytes.len() as u64);
            self.compare(range, seen);
        }
        assert_eq!(at, SIZE);
        if self.kept {
            assert_eq!(held, self.content.held());
        }
    }

    fn compare(&mut self, range: Range<u64>, seen: Option<Bytes>) {
        let kept = self.kept;
        let Some(seen) = seen else {
            for byte in self.part(&range) {
                assert!(!matches!(byte, Byte::Surely(_)), "a kept byte of {range:?} is missing");
                if kept {
                    *byte = Byte::Nothing;
                }
            }
            return;
        };
        assert_eq!(seen.len() as u64, range.end - range.start);
        for (byte, seen) in self.part(&range).iter_mut().zip(seen) {
            match byte {
                Byte::Nothing => panic!("a byte of {range:?} from nowhere"),
                Byte::Maybe(values) => assert!(values.contains(&seen), "{range:?}"),
                Byte::Surely(value) => assert_eq!(*value, seen, "{range:?}"),
            }
            *byte = if kept { Byte::Surely(seen) } else { Byte::Maybe(vec![seen]) };
        }
    }
}

/// Bytes that tell where they belong.
fn pattern(range: &Range<u64>, value: u8) -> Vec<u8> {
    range.clone().map(|at| value ^ byte(0, at)).collect()
}

async fn run(buffers: u64, ops: Vec<Op>) {
    let (cache, _home) = cache(buffers, PLENTY);
    let mut files: Vec<File> = (0..CONTENTS).map(|_| File::new(&cache)).collect();
    let mut views: Vec<(Bytes, Vec<u8>)> = Vec::new();
    for op in ops {
        let touched = match op {
            Op::Write(c, range, value) => {
                files[c].write(range, value).await;
                c
            }
            Op::Fill(c, range, value) => {
                files[c].fill(range, value);
                c
            }
            Op::Truncate(c, size) => {
                files[c].truncate(size);
                c
            }
            Op::Keep(c) => {
                files[c].keep();
                c
            }
            Op::Release(c) => {
                files[c].release();
                c
            }
            Op::Renew(c) => {
                files[c] = File::new(&cache);
                c
            }
            Op::Look(c, at) => {
                if let Piece::Memory(view) = files[c].content.piece(at, CHUNK) {
                    views.truncate(VIEWS_MAX - 1);
                    let copy = view.to_vec();
                    views.insert(0, (view, copy));
                }
                c
            }
        };
        files[touched].check().await;
        assert!(views.iter().all(|(view, copy)| view.as_ref() == copy.as_slice()), "a view changed");
        assert!(cache.usage().memory_bytes <= cache.usage().memory_bytes_max);
    }
    for file in &mut files {
        file.check().await;
    }
    drop((files, views));
    settle(&cache).await;
    assert_eq!((cache.usage().memory_bytes, cache.usage().spooled_bytes), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn kept_bytes_stay_and_droppable_ones_are_right_or_missing(
        buffers in 4..9u64,
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(buffers, ops));
    }
}
