use threadlocal::PerThread;

fn main() {
    let storage = PerThread::new(|| Ok::<_, ()>(String::new()));
    let _kept: Result<&mut String, _> = storage.with(|adapter| adapter);
}
