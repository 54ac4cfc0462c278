//! Every public name, with what it promises about threads.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::rc::Rc;

use threadlocal::{
    Local, PerThread, PerThreadBuilder, PerThreadLocal, PerThreadMap, PinnedLocal, Reentry,
    UseError, leave, sweep,
};

fn shared<T: Send + Sync + Clone + Debug>(_: &T) {}
fn debug<T: Debug>(_: &T) {}
fn error<T: Error + Send + Sync + 'static>() {}

/// `Send`, not `Sync`, without `Debug` or `Clone`.
struct Adapter(Cell<u8>);

/// Neither `Send` nor `Debug`: an error of such a type is no hindrance.
struct Failure(#[allow(dead_code, reason = "makes the type `!Send`")] Rc<()>);

#[test]
fn per_thread() {
    let storage: PerThread<Adapter, Failure> = PerThread::new(|| Ok(Adapter(Cell::new(1))));
    shared(&storage);
    let built: PerThreadBuilder<Adapter, Failure> = PerThread::builder();
    debug(&built);
    let kept = built.on_retire(|_adapter| ()).keep_retired().build(|| Ok(Adapter(Cell::new(2))));
    shared(&kept);

    let used: Result<u8, UseError<Failure>> = storage.with(|adapter: &mut Adapter| adapter.0.get());
    assert_eq!(used.ok(), Some(1));
    assert_eq!(storage.with_or_temp(|adapter| adapter.0.get()).ok(), Some(1));
    let mut local: Local<Adapter, Failure> = storage.local();
    debug(&local);
    assert_eq!(local.with(|adapter| adapter.0.get()).ok(), Some(1));
    assert_eq!((storage.len(), storage.is_empty(), storage.seats()), (1, false, 1));
    let looked: Result<(), Reentry> = storage.for_each(|adapter| adapter.0.set(3));
    assert_eq!(looked, Ok(()));
    let drained: Result<Vec<Adapter>, Reentry> = storage.drain();
    assert_eq!(drained.map(|all| all[0].0.get()), Ok(3));
    storage.invalidate();
    storage.discard();
}

#[test]
fn per_thread_local() {
    let storage: PerThreadLocal<Rc<u8>, Failure> = PerThreadLocal::new(|| Ok(Rc::new(1)));
    shared(&storage);
    let used: Result<u8, UseError<Failure>> = storage.with(|adapter: &mut Rc<u8>| **adapter);
    assert_eq!(used.ok(), Some(1));
    assert_eq!(storage.with_or_temp(|adapter| **adapter).ok(), Some(1));
    let mut local: PinnedLocal<Rc<u8>, Failure> = storage.local();
    debug(&local);
    assert_eq!(local.with(|adapter| **adapter).ok(), Some(1));
    assert_eq!((storage.len(), storage.is_empty()), (1, false));
    storage.invalidate();
    storage.discard();
}

#[test]
fn per_thread_map() {
    let map: PerThreadMap<String, Rc<u8>, Infallible> = PerThreadMap::new(|_key| Ok(Rc::new(1)));
    shared(&map);
    assert_eq!(map.with("name", |adapter| **adapter), Ok(1));
    assert_eq!((map.len(), map.is_empty()), (1, false));
    map.discard("name");
    map.invalidate();
    let numbered: PerThreadMap<u64, u8, Infallible> = PerThreadMap::new(|_shard: &u64| Ok(1));
    assert_eq!(numbered.with(&3, |adapter| *adapter), Ok(1));
}

#[test]
fn errors() {
    error::<UseError<io::Error>>();
    error::<Reentry>();
    let refused = || UseError::Make(io::Error::from(io::ErrorKind::ConnectionRefused));
    assert_eq!(refused().source().unwrap().to_string(), "connection refused");
    for (message, start) in [
        (refused().to_string(), "this thread's adapter could not be made"),
        (UseError::<io::Error>::Reentry.to_string(), "this thread is using its adapter already"),
        (UseError::<io::Error>::ThreadExiting.to_string(), "this thread is ending"),
        (Reentry.to_string(), "this thread is inside a `with` or `for_each`"),
    ] {
        assert!(message.starts_with(start), "{message}");
    }
    assert!(matches!(UseError::<()>::from(Reentry), UseError::Reentry));
}

#[test]
fn functions() {
    let (_, _): (fn(), fn()) = (leave, sweep);
    leave();
    sweep();
}
