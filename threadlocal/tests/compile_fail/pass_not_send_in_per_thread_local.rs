use std::rc::Rc;
use threadlocal::{PerThreadLocal, PerThreadMap};

fn main() {
    let storage = PerThreadLocal::new(|| Ok::<_, ()>(Rc::new(1)));
    let map = PerThreadMap::new(|_: &u8| Ok::<_, ()>(Rc::new(1)));
    std::thread::spawn(move || {
        storage.with(|adapter| assert_eq!(**adapter, 1)).unwrap();
        map.with(&1, |adapter| assert_eq!(**adapter, 1)).unwrap();
    })
    .join()
    .unwrap();
}
