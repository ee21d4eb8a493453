//! Work that computes, on threads of its own: the runtime has one thread, on which everybody waits.
//!
//! What is computed must end by itself, because a thread cannot be stopped. How much of it goes on at once is bounded, so
//! that many callers cost memory for a few of them alone, and the rest wait in order.

use std::sync::LazyLock;

use tokio::sync::{Semaphore, SemaphorePermit};

/// From how many bytes on a text is worth a thread: below, handing it over takes longer than the work.
const HEAVY: usize = 16 * 1024;

/// The work was not done: the runtime ends, or it panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server ended before it was computed")]
pub struct Stopped;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    // Two at least, so that one long history delays no other work.
    Semaphore::new(processors.clamp(2, 8))
});

/// Computes on a thread for that, and waits without holding up the runtime.
///
/// # Errors
/// [`Stopped`].
pub async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let place: SemaphorePermit<'static> = PLACES.acquire().await.map_err(|_| Stopped)?;
    #[cfg(test)]
    let _pending = watched::Pending::new();
    let done = tokio::task::spawn_blocking(move || {
        // Kept until the work is over, also if its caller has gone.
        let _place = place;
        work()
    });
    done.await.map_err(|_| Stopped)
}

/// Whether work on so many bytes belongs on a thread of its own.
pub fn heavy(bytes: usize) -> bool {
    bytes > HEAVY
}

#[cfg(test)]
pub(crate) mod watched {
    //! For tests: whether the runtime goes on while something computes.

    use std::{
        cell::Cell,
        pin::pin,
        time::{Duration, Instant},
    };

    thread_local! {
        /// How much computes that this thread's runtime waits for.
        static PENDING: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) struct Pending;

    impl Pending {
        pub(super) fn new() -> Self {
            PENDING.set(PENDING.get() + 1);
            Self
        }
    }

    impl Drop for Pending {
        fn drop(&mut self) {
            PENDING.set(PENDING.get() - 1);
        }
    }

    /// Does the work and counts how often the runtime did something else while it computed. Prints the longest time in
    /// which it did nothing else, which depends on the machine.
    pub(crate) async fn watched<T>(what: &str, work: impl Future<Output = T>) -> (T, usize) {
        let (mut work, mut ticks, mut longest) = (pin!(work), 0, Duration::ZERO);
        let done = loop {
            let before = Instant::now();
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            longest = longest.max(before.elapsed());
            ticks += usize::from(PENDING.get() > 0);
        };
        println!("{what}: the runtime's thread was busy for {longest:?} at most; {ticks} ticks");
        (done, ticks)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn the_runtime_goes_on_and_few_compute_at_once() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let works: Vec<_> = (0..64)
            .map(|number| {
                let (running, most, held) =
                    (Arc::clone(&running), Arc::clone(&most), Arc::clone(&held));
                TaskTracker::new().spawn(compute(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    held.lock().unwrap().recv().unwrap();
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                }))
            })
            .collect();
        // All of them are held, and this task runs.
        for _ in 0..64 {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        }
        for (number, work) in works.into_iter().enumerate() {
            assert_eq!(work.await.unwrap(), Ok(number));
        }
        assert!((1..=8).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place_until_it_ends() {
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let work = TaskTracker::new().spawn(compute(move || {
            begun.send(()).unwrap();
            held.recv().unwrap();
        }));
        begins.await.unwrap();
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
        // Another place is free.
        assert_eq!(compute(|| 7).await, Ok(7));
        release.send(()).unwrap();
        assert_eq!(compute(|| 8).await, Ok(8));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_its_place_back() {
        for _ in 0..32 {
            assert_eq!(compute::<()>(|| panic!("on purpose")).await, Err(Stopped));
        }
        assert_eq!(compute(|| 1).await, Ok(1));
    }
}
