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
        let moved = [
            ("9001", one.to_string()),
            ("9002", two.to_string()),
            ("9443", tls.to_string()),
            ("servroot/", prefix + "/"),
        ];
        let text = moved.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from} is not in config.json");
            text.replace(from, to)
        });
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
