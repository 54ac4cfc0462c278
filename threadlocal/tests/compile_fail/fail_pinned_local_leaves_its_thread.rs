use threadlocal::PerThreadLocal;

fn main() {
    let mut local = PerThreadLocal::new(|| Ok::<_, ()>(1)).local();
    std::thread::spawn(move || local.with(|_| ()));
}
