//! The machine's walk and the walk by the book against this host's KVM.
//!
//!     cargo test --features kvm --test kvm
//!
//! Without KVM every test is told as ignored and the reason is printed: nothing has passed then.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod agreement;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod generate;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod recorded;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trials;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod weaknesses;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod trials {
    /// There is no such oracle on this host.
    pub(crate) fn reason_to_skip() -> Option<String> {
        Some("SKIPPED: KVM oracle not run: this is not Linux on x86-64".to_owned())
    }

    pub(crate) const ALL: [(&str, fn()); 1] = [("every_case", || unreachable!("it is ignored"))];
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let reason = if arguments.list { None } else { trials::reason_to_skip() };
    if let Some(reason) = &reason {
        println!("{reason}");
    }
    let skips = reason.is_some();
    let trials = trials::ALL.map(|(name, run)| {
        let run = move || {
            run();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(skips)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
