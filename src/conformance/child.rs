//! What a parent sees of its child from outside: what memory it takes, whether it runs, sleeps or waits for a
//! processor. Read from `/proc` (Linux, proc(5)); elsewhere nothing is seen.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// The longest between two looks; the first ones are closer, for most children end soon.
const LOOK_MAX: Duration = Duration::from_millis(20);

/// Nanoseconds of a clock tick: the kernel tells processor time to programs in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// The pauses between looks at a child.
pub(super) struct Looks(Duration);

impl Default for Looks {
    fn default() -> Self {
        Self(Duration::from_millis(1))
    }
}

impl Looks {
    /// Waits until it is time for another look; how long that was.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.0;
        sleep(pause);
        self.0 = (pause + pause / 4).min(LOOK_MAX);
        pause
    }
}

/// How long a child has made no progress, without what it waited for a processor: on a busy host that is most.
#[derive(Default)]
pub(super) struct Still {
    pub(super) stood: Duration,
    /// Processor time it had taken at the last look.
    ran: Option<Duration>,
}

impl Still {
    /// Looks at the child after a pause of this length.
    pub(super) fn look(&mut self, pid: u32, pause: Duration) {
        let Some((ran, sleeps)) = doings(pid) else {
            // Nothing is seen: all of the time counts.
            self.stood += pause;
            return;
        };
        let more = self.ran.map_or(Duration::ZERO, |before| ran.saturating_sub(before));
        self.ran = Some(ran);
        self.stood += if sleeps { pause } else { more };
    }
}

/// The processor time that all threads of a process took, and whether all of them sleep.
fn doings(pid: u32) -> Option<(Duration, bool)> {
    let (mut ran, mut sleeps) = (Duration::ZERO, true);
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (state, time) = task_in(&text)?;
        ran += time;
        sleeps &= state == "S";
    }
    Some((ran, sleeps))
}

/// State and processor time of one thread, of its line in `/proc/PID/task/TID/stat`.
fn task_in(stat: &str) -> Option<(&str, Duration)> {
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let mut times = fields.skip(10).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((state, TICK * user.saturating_add(system)))
}

/// Memory of a child's that is in use, in MiB; `None` where the host does not say.
pub(super) fn resident_mib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as proc(5) describes it: state is field 3, times in user and in kernel mode are fields 14 and 15.
    #[test]
    fn state_and_times_of_a_thread_are_read_behind_a_name_with_brackets() {
        let stat = "71 (a) R (b) S 1 71 71 0 -1 4194304 8 0 0 0 250 50 0 0 20 0 2 0 900 1 2 3";

        assert_eq!(task_in(stat), Some(("S", Duration::from_secs(3))));
        assert_eq!(task_in("71 (cut) S 1 71"), None);
    }

    #[test]
    fn all_time_counts_of_a_process_that_nobody_sees() {
        let mut still = Still { stood: Duration::ZERO, ran: None };

        still.look(u32::MAX, Duration::from_millis(5));

        assert_eq!(still.stood, Duration::from_millis(5));
    }
}
