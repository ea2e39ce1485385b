//! temporary
use ringfence::campaign::*;
fn main() {
    let n: u64 = std::env::args().nth(1).map_or(4, |a| a.parse().unwrap());
    let c = Campaign { seeds: 0..n, experiments: 100, workers: 2, ..Campaign::default() };
    let t = std::time::Instant::now();
    let r = c.run(&std::sync::atomic::AtomicBool::new(false), |_| {}).unwrap();
    let e = t.elapsed();
    println!("{} exp, {} act, {} cons, {} viol, {} events; {:?}, {:.0} exp/s {:.1} M ev/s digest {}", r.total.experiments, r.total.activated, r.total.consumed, r.total.violations, r.total.events, e, r.total.experiments as f64 / e.as_secs_f64(), r.total.events as f64/e.as_secs_f64()/1e6, r.digest);
    for ((o, c), n) in &r.total.cells { println!("{o} {c} {n} {:?}", r.examples.get(&(*o, *c))); }
    for v in r.violations.iter().take(12) { println!("seed {} case {} {:?} {:?}", v.seed, v.case.number, v.case.plan, v.case.outcome); }
}
