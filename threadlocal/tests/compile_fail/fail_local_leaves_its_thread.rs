use threadlocal::PerThread;

fn main() {
    let mut local = PerThread::new(|| Ok::<_, ()>(1)).local();
    std::thread::spawn(move || local.with(|_| ()));
}
