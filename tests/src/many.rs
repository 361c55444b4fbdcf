//! Many runs side by side, each in a runtime of its own whose time is paused.

use std::sync::Mutex;
use std::thread;

/// Runs `run` for each item, as many at a time as there are processors; the results are in the items'
/// order.
///
/// # Panics
/// If a run panics.
pub fn each<T: Sync, R: Send>(items: &[T], run: impl AsyncFn(usize, &T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(items.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
        };
        loop {
            let next = queue.lock().unwrap().next();
            let Some((index, item)) = next else { break };
            let result = runtime().block_on(run(index, item));
            results.lock().unwrap().push((index, result));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs `run` once, in such a runtime.
pub fn one<R: Send>(run: impl AsyncFn() -> R + Sync) -> R {
    each(&[()], async |_, ()| run().await).remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let results = each(&[3, 1, 2], async |index, item| {
            tokio::time::sleep(Duration::from_mins(*item)).await;
            (index, *item)
        });
        assert_eq!(results, [(0, 3), (1, 1), (2, 2)]);
    }
}
