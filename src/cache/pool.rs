//! The buffers that chunks live in: a bounded number of them, all of one size, used again and again. Knows nothing of
//! contents; who may have a buffer is decided in `room.rs`.
//!
//! Buffers are recycled as they are, because mapping and zeroing fresh memory for each chunk costs more than the copy
//! into it. Who uses one remembers which bytes it filled; the others are another file's and must never be seen.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// All buffers there may be.
pub(super) struct Pool {
    chunk_bytes: usize,
    buffers: usize,
    stock: Mutex<Stock>,
    freed: Notify,
}

struct Stock {
    /// Buffers that were used before; last in, first out, since the last one is still in the processor's caches.
    idle: Vec<Box<[u8]>>,
    /// Buffers that are in use.
    out: usize,
}

impl Pool {
    pub(super) fn new(buffers: usize, chunk_bytes: usize) -> Arc<Pool> {
        let stock = Mutex::new(Stock { idle: Vec::new(), out: 0 });
        Arc::new(Pool { chunk_bytes, buffers, stock, freed: Notify::new() })
    }

    /// A buffer with unknown content, unless that leaves fewer than `keep_back` free ones.
    pub(super) fn take(self: &Arc<Self>, keep_back: usize) -> Option<Buffer> {
        let used_before = {
            let mut stock = self.stock();
            if self.buffers - stock.out <= keep_back {
                return None;
            }
            stock.out += 1;
            stock.idle.pop()
        };
        let bytes = used_before.unwrap_or_else(|| vec![0; self.chunk_bytes].into_boxed_slice());
        Some(Buffer { bytes, pool: self.clone() })
    }

    /// How many buffers are free.
    pub(super) fn free(&self) -> usize {
        self.buffers - self.stock().out
    }

    /// How many buffers are in use.
    pub(super) fn used(&self) -> usize {
        self.stock().out
    }

    /// Ends when something was given back after this call.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Lets everyone who waits for a buffer look again.
    pub(super) fn wake(&self) {
        self.freed.notify_waiters();
    }

    /// A poisoned lock is passed over: every change to the stock is whole, and buffers come back while panics unwind.
    fn stock(&self) -> std::sync::MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One buffer. Dropping it gives it back.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The bytes `range` of `buffer` without a copy; they keep the buffer from being written to and given back.
    pub(super) fn view(buffer: &Arc<Buffer>, range: Range<usize>) -> Bytes {
        Bytes::from_owner(View { buffer: Some(buffer.clone()), range })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut stock = self.pool.stock();
        stock.out -= 1;
        stock.idle.push(std::mem::take(&mut self.bytes));
        drop(stock);
        self.pool.wake();
    }
}

struct View {
    /// `None` only while it is being dropped.
    buffer: Option<Arc<Buffer>>,
    range: Range<usize>,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.bytes[self.range.clone()])
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // The buffer is let go before the others look, because a chunk whose last view is gone can be written to again.
        let Some(buffer) = self.buffer.take() else { return };
        let pool = buffer.pool.clone();
        drop(buffer);
        pool.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_some_are_kept_back() {
        let pool = Pool::new(3, 16);
        let first = pool.take(1).unwrap();
        let _second = pool.take(1).unwrap();
        assert!(pool.take(1).is_none());
        let _third = pool.take(0).unwrap();
        assert!(pool.take(0).is_none());
        assert_eq!((pool.free(), pool.used()), (0, 3));
        drop(first);
        assert_eq!((pool.free(), pool.used()), (1, 2));
    }

    #[test]
    fn a_buffer_is_used_again_as_it_is() {
        let pool = Pool::new(2, 4);
        let mut buffer = pool.take(0).unwrap();
        buffer.bytes_mut().copy_from_slice(b"abcd");
        drop(buffer);
        assert_eq!(pool.take(0).unwrap().bytes(), b"abcd");
    }

    #[test]
    fn a_view_holds_its_buffer() {
        let pool = Pool::new(1, 4);
        let mut buffer = pool.take(0).unwrap();
        buffer.bytes_mut().copy_from_slice(b"abcd");
        let mut buffer = Arc::new(buffer);
        let view = Buffer::view(&buffer, 1..3);
        let slice = view.slice(1..);
        drop(view);
        assert!(Arc::get_mut(&mut buffer).is_none());
        drop(buffer);
        assert_eq!(pool.free(), 0);
        assert_eq!(slice.as_ref(), b"c");
        drop(slice);
        assert_eq!(pool.free(), 1);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let pool = Pool::new(1, 4);
        let buffer = pool.take(0).unwrap();
        let freed = pool.freed();
        std::thread::spawn(move || drop(buffer)).join().unwrap();
        freed.await;
    }
}
