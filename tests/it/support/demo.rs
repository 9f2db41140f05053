//! What `make run` starts: the committed `config.json` and `lua/`, with every port and path moved to free ones.

use super::{Gateway, Setup, free_port};

/// The running demo.
pub struct Demo {
    pub gateway: Gateway,
    /// The two plain echo upstreams.
    pub one: u16,
    pub two: u16,
    /// The one over TLS.
    pub tls: u16,
}

impl Demo {
    #[track_caller]
    pub fn start() -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let text = std::fs::read_to_string(format!("{root}/config.json")).unwrap();
        let (one, two, tls) = (free_port(), free_port(), free_port());
        let setup = Setup::text("config.json", "{}");
        let prefix = setup.dir().join("prefix").display().to_string();
        // By way of marks: a port may contain another's old number.
        let moved = [
            ("9001", "<one>", one.to_string()),
            ("9002", "<two>", two.to_string()),
            ("9443", "<tls>", tls.to_string()),
            ("servroot/", "<prefix>", prefix + "/"),
        ];
        let marked = moved.iter().fold(text, |text, (from, mark, _)| {
            assert!(text.contains(from), "{from} is not in config.json");
            text.replace(from, mark)
        });
        let text = moved
            .iter()
            .fold(marked, |text, (_, mark, to)| text.replace(mark, to));
        std::fs::write(setup.dir().join("config.json"), &text).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let plugins = config["_gateway"]["plugins"].as_str().unwrap();
        let setup = setup.set("moongate_lua_dir", &format!("{root}/lua"));
        let gateway = plugins.split(", ").fold(setup, Setup::enable).start();
        Self {
            gateway,
            one,
            two,
            tls,
        }
    }

    /// A file that the demo's TLS upstream made for its clients.
    pub fn material(&self, name: &str) -> std::path::PathBuf {
        self.gateway.prefix().join("ssl/demo").join(name)
    }
}
