//! temporary
use ringfence::campaign::*; use ringfence::scenario::*; use ringfence::base::Seed;
fn main() { for seed in 0..20 { let s = Scenario::generate(Seed(seed), &Bias::default()); 
  match Trial::new(&s, &Default::default()) { Ok(t) => println!("seed {seed} {:?} clock {} events {} points {} components {:?} alive {:?}", t.golden.rest, t.golden.clock, t.golden.events, t.golden.points.len(), s.configuration.components.len(), t.golden.alive), Err(e) => println!("seed {seed} {e}") } } }
