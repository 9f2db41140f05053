//! The phases of a request, with Kong's bit values (`kong/pdk/private/phases.lua`).

/// Where a request is. The value is the bit that `ngx.ctx.KONG_PHASE` carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Phase {
    InitWorker = 0x1,
    Certificate = 0x2,
    ClientHello = 0x8,
    Rewrite = 0x10,
    Access = 0x20,
    Balancer = 0x40,
    Response = 0x80,
    Timer = 0x100,
    HeaderFilter = 0x200,
    BodyFilter = 0x400,
    Log = 0x2000,
    Error = 0x0100_0000,
    AdminApi = 0x1000_0000,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 13] = [
        Phase::InitWorker,
        Phase::Certificate,
        Phase::ClientHello,
        Phase::Rewrite,
        Phase::Access,
        Phase::Balancer,
        Phase::Response,
        Phase::Timer,
        Phase::HeaderFilter,
        Phase::BodyFilter,
        Phase::Log,
        Phase::Error,
        Phase::AdminApi,
    ];

    /// The handler's field, as plugins spell it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::InitWorker => "init_worker",
            Phase::Certificate => "certificate",
            Phase::ClientHello => "client_hello",
            Phase::Rewrite => "rewrite",
            Phase::Access => "access",
            Phase::Balancer => "balancer",
            Phase::Response => "response",
            Phase::Timer => "timer",
            Phase::HeaderFilter => "header_filter",
            Phase::BodyFilter => "body_filter",
            Phase::Log => "log",
            Phase::Error => "error",
            Phase::AdminApi => "admin_api",
        }
    }

    /// What `ngx.get_phase()` answers there (Kong runs `response` in the access phase of OpenResty).
    pub fn ngx_name(self) -> &'static str {
        match self {
            Phase::InitWorker => "init_worker",
            Phase::Certificate => "ssl_cert",
            Phase::ClientHello => "ssl_client_hello",
            Phase::Response => "access",
            Phase::Error | Phase::AdminApi => "content",
            other => other.name(),
        }
    }

    /// How OpenResty names the place in its messages.
    pub fn lua_context(self) -> &'static str {
        match self {
            Phase::InitWorker => "init_worker_by_lua*",
            Phase::Certificate => "ssl_certificate_by_lua*",
            Phase::ClientHello => "ssl_client_hello_by_lua*",
            Phase::Rewrite => "rewrite_by_lua*",
            Phase::Access | Phase::Response => "access_by_lua*",
            Phase::Balancer => "balancer_by_lua*",
            Phase::Timer => "ngx.timer",
            Phase::HeaderFilter => "header_filter_by_lua*",
            Phase::BodyFilter => "body_filter_by_lua*",
            Phase::Log => "log_by_lua*",
            Phase::Error | Phase::AdminApi => "content_by_lua*",
        }
    }

    /// Whether a handler may wait here (sleep, cosockets) and leave by `ngx.exit` as a yield.
    pub fn can_yield(self) -> bool {
        matches!(
            self,
            Phase::Certificate
                | Phase::ClientHello
                | Phase::Rewrite
                | Phase::Access
                | Phase::Response
                | Phase::Timer
                | Phase::AdminApi
                | Phase::InitWorker
        )
    }
}
