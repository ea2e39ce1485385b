//! A trace that goes on: what is found is told at once, and by Ctrl-C nothing of it is lost.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const GOOD: &str = "trace 1 aarch64\ninit 0x1000 0x3000\nset 0 ttbr0_el2 0x1000\n\
                    store 0 0x1000 0x2003 # boot.c:7\n";
const BAD: &str = "store 0 0x1000 0x3003 # boot.c:9\n";

/// Far longer than a finding takes, on a machine that has other things to do as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A check of a live trace, which has told `input` and does not end.
struct Live {
    child: Child,
    lines: Receiver<String>,
}

impl Live {
    fn begin(arguments: &[&str], input: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .arg("check")
            .args(arguments)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        child.stdin.as_mut().expect("its input").write_all(input.as_bytes()).expect("it reads");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (told, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(told.send(line)));
        });
        Self { child, lines }
    }

    /// The next line, long before the end.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line while the trace goes on")
    }

    /// Presses Ctrl-C: the exit code, what else is told, and what is said on standard error.
    #[cfg(unix)]
    fn interrupted(mut self) -> (Option<i32>, Vec<String>, String) {
        let _open = self.child.stdin.take();
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        let status = self.child.wait().expect("it ends");
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().expect("it was piped");
        stderr.read_to_string(&mut errors).expect("text");
        (status.code(), self.lines.iter().collect(), errors)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_finding_is_told_while_the_trace_goes_on() {
    let live = Live::begin(&[], &[GOOD, BAD].concat());

    assert_eq!(live.line(), "event      standard input:5  store 0 0x1000 0x3003 # boot.c:9");
    assert!(live.line().starts_with("finding    entries: made without break"));
}

#[test]
fn a_finding_is_an_object_while_the_trace_goes_on() {
    let live = Live::begin(&["--json"], &[GOOD, BAD].concat());

    let told: serde_json::Value = serde_json::from_str(&live.line()).expect("an object");
    assert_eq!(told["line"], 5);
}

#[cfg(unix)]
#[test]
fn ctrl_c_sums_up_what_was_told_by_then() {
    // A line that is cut is none.
    let live = Live::begin(&[], &[GOOD, BAD, "store 0 0x10"].concat());
    let first = live.line();

    let (code, rest, errors) = live.interrupted();

    let rest = rest.join("\n");
    assert_eq!(code, Some(130), "{first}\n{rest}\n{errors}");
    assert!(rest.contains("lines      5\n") && rest.contains("findings   1"), "{rest}");
    assert!(errors.contains("PARTIAL: interrupted, 5 lines were judged"), "{errors}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_an_object_that_says_so() {
    let live = Live::begin(&["--json"], &[GOOD, BAD].concat());
    let _ = live.line();

    let (code, rest, _) = live.interrupted();

    let last: serde_json::Value =
        serde_json::from_str(rest.last().expect("a summary")).expect("an object");
    assert_eq!(code, Some(130));
    assert_eq!(last["partial"], true);
    assert_eq!(last["findings"], 1);
}
