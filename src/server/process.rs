//! The few system calls about processes: signals, sessions.

#![allow(unsafe_code)]

use std::io;

/// A process's id.
pub type Pid = i32;

/// What a running gateway is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop now.
    Term,
    /// SIGQUIT: finish open exchanges, then stop.
    Quit,
    /// SIGHUP: read the configuration anew.
    Hup,
}

/// This process.
pub fn own_pid() -> Pid {
    Pid::try_from(std::process::id()).unwrap_or(Pid::MAX)
}

/// Whether a process with this pid lives, whoever owns it.
pub fn is_alive(pid: Pid) -> bool {
    match kill(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// Sends `signal` to `pid`.
///
/// # Errors
/// The system's: no such process, or not ours.
pub fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Term => libc::SIGTERM,
        Signal::Quit => libc::SIGQUIT,
        Signal::Hup => libc::SIGHUP,
    };
    kill(pid, number)
}

fn kill(pid: Pid, number: libc::c_int) -> io::Result<()> {
    // Zero and negative pids mean groups of processes.
    if pid <= 0 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes this process the leader of a session without a terminal.
///
/// # Errors
/// The system's: it leads a process group already.
pub fn new_session() -> io::Result<()> {
    // SAFETY: setsid(2) takes nothing and touches no memory of ours.
    match unsafe { libc::setsid() } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Of who judges a configuration: half of the share that others get, late enough to be no burden, soon enough to
/// be done.
pub const JUDGES: libc::c_int = 3;
/// Of who tells a configuration: a tenth of the share. It is told right after a swap, when the workers have most to do.
pub const TELLS: libc::c_int = 10;

/// Lets every other thread go before the calling one, where the processors do not suffice for all.
pub fn be_nice(niceness: libc::c_int) {
    // SAFETY: setpriority(2) takes integers; who = 0 is the calling thread on Linux. That it may be refused is all
    // right: the thread then competes like any other.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, niceness);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a13_signals_reach_a_child_and_never_a_group() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::try_from(child.id()).unwrap();
        assert!(is_alive(pid));
        send(pid, Signal::Term).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(!is_alive(pid));
        assert!(send(pid, Signal::Hup).is_err());
        for group in [0, -1, -pid] {
            assert!(!is_alive(group));
            assert!(send(group, Signal::Term).is_err());
        }
    }
}
