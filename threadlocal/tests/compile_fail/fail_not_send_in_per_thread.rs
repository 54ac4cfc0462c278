use std::rc::Rc;
use threadlocal::PerThread;

fn main() {
    let _ = PerThread::new(|| Ok::<_, ()>(Rc::new(1)));
}
