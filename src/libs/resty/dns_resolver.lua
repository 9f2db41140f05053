-- `resty.dns.resolver`: asks name servers over cosockets, UDP first and TCP where an answer does not fit.
--
-- Nothing is cached and no hosts file is read: that is `kong.dns`'s.

local bit = require "bit"

local byte, char, sub, format, rep = string.byte, string.char, string.sub, string.format, string.rep
local gsub, gmatch, lower = string.gsub, string.gmatch, string.lower
local concat, type, pcall, error, setmetatable = table.concat, type, pcall, error, setmetatable
local random, band = math.random, bit.band
local udp, tcp = ngx.socket.udp, ngx.socket.tcp

-- Pointers of one name, datagrams of other questions for one try: beyond that somebody plays games.
local MAX_POINTERS, MAX_STRANGERS = 127, 128

local M = {
  _VERSION = "0.23",
  TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28,
  TYPE_SRV = 33, TYPE_SPF = 99, CLASS_IN = 1, SECTION_AN = 1, SECTION_NS = 2, SECTION_AR = 3,
}
local mt = { __index = M }

local ERRORS = { "format error", "server failure", "name error", "not implemented", "refused" }

-- === reading; what is short or wrong raises a text, caught once ===

local function short()
  error("truncated", 0)
end

local function u8(text, at)
  return byte(text, at) or short()
end

local function u16(text, at)
  local a, b = byte(text, at, at + 1)
  return b and a * 256 + b or short()
end

local function u32(text, at)
  return u16(text, at) * 65536 + u16(text, at + 2)
end

local function name_at(text, at)
  local labels, n, pointers, after = {}, 0, 0, nil
  while true do
    local len = u8(text, at)
    if len == 0 then
      return concat(labels, "."), after or at + 1
    elseif len >= 192 then
      pointers = pointers + 1
      if pointers > MAX_POINTERS then
        short()
      end
      after = after or at + 2
      at = band(u16(text, at), 0x3fff) + 1
    else
      n = n + 1
      labels[n] = sub(text, at + 1, at + len)
      at = at + len + 1
    end
  end
end

local function whole_name(kind, field, skip)
  return function(record, text, at, len)
    local name, after = name_at(text, at + skip)
    if after - at ~= len then
      error(format("bad %s record length: %d ~= %d", kind, after - at, len), 0)
    end
    record[field] = name
  end
end

local function strings(field)
  return function(record, text, at, len)
    local last, list = at + len, {}
    repeat
      local size = u8(text, at)
      if at + size + 1 > last then
        size = last - at - 1
      end
      list[#list + 1] = sub(text, at + 1, at + size)
      at = at + size + 1
    until at >= last
    record[field] = list[2] and list or list[1]
  end
end

local exchange, target = whole_name("cname", "exchange", 2), whole_name("srv", "target", 6)

local FIELDS = {
  [M.TYPE_A] = function(record, text, at, len)
    if len ~= 4 then
      error("bad A record value length: " .. len, 0)
    end
    record.address = concat({ byte(text, at, at + 3) }, ".")
  end,
  [M.TYPE_AAAA] = function(record, text, at, len)
    if len ~= 16 then
      error("bad AAAA record value length: " .. len, 0)
    end
    local groups = {}
    for i = 1, 8 do
      groups[i] = format("%x", u16(text, at + 2 * i - 2))
    end
    record.address = concat(groups, ":")
  end,
  [M.TYPE_CNAME] = whole_name("cname", "cname", 0),
  [M.TYPE_NS] = whole_name("cname", "nsdname", 0),
  [M.TYPE_PTR] = whole_name("cname", "ptrdname", 0),
  [M.TYPE_TXT] = strings "txt",
  [M.TYPE_SPF] = strings "spf",
  [M.TYPE_MX] = function(record, text, at, len)
    if len < 3 then
      error("bad MX record value length: " .. len, 0)
    end
    record.preference = u16(text, at)
    exchange(record, text, at, len)
  end,
  [M.TYPE_SRV] = function(record, text, at, len)
    if len < 7 then
      error("bad SRV record value length: " .. len, 0)
    end
    record.priority, record.weight, record.port = u16(text, at), u16(text, at + 2), u16(text, at + 4)
    target(record, text, at, len)
  end,
  [M.TYPE_SOA] = function(record, text, at)
    record.mname, at = name_at(text, at)
    record.rname, at = name_at(text, at)
    record.serial, record.refresh, record.retry = u32(text, at), u32(text, at + 4), u32(text, at + 8)
    record.expire, record.minimum = u32(text, at + 12), u32(text, at + 16)
  end,
}

-- Records of one section, added to the answers where they are wanted.
local function records(answers, section, text, at, count, wanted)
  for _ = 1, count do
    local name
    name, at = name_at(text, at)
    local record = { section = section, name = name, type = u16(text, at), class = u16(text, at + 2) }
    record.ttl = u32(text, at + 4)
    local len = u16(text, at + 8)
    at = at + 10
    if at + len - 1 > #text then
      short()
    end
    local read = FIELDS[record.type]
    if read then
      read(record, text, at, len)
    else
      record.rdata = sub(text, at, at + len - 1)
    end
    at = at + len
    if wanted then
      answers[#answers + 1] = record
    end
  end
  return at
end

local function parsed(text, id, options)
  if #text < 12 then
    short()
  elseif u16(text, 1) ~= id then
    error("id mismatch", 0)
  end
  local flags, code = u16(text, 3), band(u16(text, 3), 0xf)
  if flags < 0x8000 then
    error("bad QR flag in the DNS response", 0)
  elseif band(flags, 0x200) ~= 0 then
    short()
  end
  local questions = u16(text, 5)
  if questions ~= 1 then
    error(format("bad number of questions in DNS response: %d", questions), 0)
  end
  local _, at = name_at(text, 13)
  if u16(text, at + 2) ~= 1 then
    error(format("unknown query class %d in DNS response", u16(text, at + 2)), 0)
  end
  at = at + 4
  local answers = {}
  if code ~= 0 then
    answers.errcode, answers.errstr = code, ERRORS[code] or "unknown"
  end
  local authority, additional = options and options.authority_section, options and options.additional_section
  at = records(answers, M.SECTION_AN, text, at, u16(text, 7), true)
  if authority or additional then
    at = records(answers, M.SECTION_NS, text, at, u16(text, 9), authority)
    if additional then
      records(answers, M.SECTION_AR, text, at, u16(text, 11), true)
    end
  end
  return answers
end

-- === asking ===

local function question(self, name, id, options)
  if byte(name, 1) == 46 then
    return nil, "bad name"
  end
  local kind = options and options.qtype or M.TYPE_A
  local labels = gsub(name, "([^.]+)%.?", function(label)
    return char(#label % 256) .. label
  end)
  return concat {
    char((id - id % 256) / 256, id % 256), self.no_recurse and "\0\0" or "\1\0", "\0\1\0\0\0\0\0\0", labels, "\0",
    char((kind - kind % 256) / 256, kind % 256), "\0\1",
  }
end

-- The next server's number; each has its turn.
local function turn(self)
  local current = self.cur
  self.cur = current % #self.servers + 1
  return current
end

local function words(what, server, err)
  return what .. concat(server, ":") .. ": " .. err
end

local function over_tcp(self, server, text, id, options)
  local sock = self.tcp_sock
  if not sock then
    return nil, "not initialized"
  end
  local ok, err = sock:connect(server[1], server[2] or 53)
  if not ok then
    return nil, words("failed to connect to TCP server ", server, err)
  end
  ok, err = sock:send(char((#text - #text % 256) / 256, #text % 256) .. text)
  if not ok then
    return nil, words("failed to send query to TCP server ", server, err)
  end
  local head
  head, err = sock:receive(2)
  if not head then
    return nil, words("failed to receive the reply length field from TCP server ", server, err)
  end
  local answer
  answer, err = sock:receive(u16(head, 1))
  if not answer then
    return nil, words("failed to receive the reply message body from TCP server ", server, err)
  end
  sock:close()
  ok, answer = pcall(parsed, answer, id, options)
  if not ok then
    return nil, words("failed to parse the reply from the TCP server ", server, answer)
  end
  return answer
end

local function over_udp(self, at, text, id, options)
  local sock, server = self.socks[at], self.servers[at]
  local ok, err = sock:send(text)
  if not ok then
    return nil, words("failed to send request to UDP server ", server, err)
  end
  for _ = 1, MAX_STRANGERS do
    local got
    got, err = sock:receive(4096)
    if not got then
      return nil, words("failed to receive reply from UDP server ", server, err)
    end
    ok, got = pcall(parsed, got, id, options)
    if ok then
      return got
    elseif got == "truncated" then
      return over_tcp(self, server, text, id, options)
    elseif got ~= "id mismatch" then
      return nil, got
    end
    err = got
  end
  return nil, err
end

--- A resolver: `nameservers` (addresses, or { address, port }), `retrans` (5), `timeout` (2000 ms), `no_random`,
-- `no_recurse`.
function M.new(_, options)
  if not options then
    return nil, "no options table specified"
  end
  local servers = options.nameservers
  if not servers or #servers == 0 then
    return nil, "no nameservers specified"
  end
  local timeout, socks = options.timeout or 2000, {}
  for i = 1, #servers do
    local sock, err = udp()
    if not sock then
      return nil, "failed to create udp socket: " .. err
    end
    if type(servers[i]) ~= "table" then
      servers[i] = { servers[i], 53 }
    end
    local ok
    ok, err = sock:setpeername(servers[i][1], servers[i][2] or 53)
    if not ok then
      return nil, "failed to set peer name: " .. err
    end
    sock:settimeout(timeout)
    socks[i] = sock
  end
  local tcp_sock, err = tcp()
  if not tcp_sock then
    return nil, "failed to create tcp socket: " .. err
  end
  tcp_sock:settimeout(timeout)
  return setmetatable({
    cur = options.no_random and 1 or random(1, #servers), socks = socks, tcp_sock = tcp_sock, servers = servers,
    retrans = options.retrans or 5, no_recurse = options.no_recurse,
  }, mt)
end

--- The limit of each send and receive, in milliseconds.
function M:set_timeout(ms)
  local socks = self.socks
  if not socks or not self.tcp_sock then
    return nil, "not initialized"
  end
  for i = 1, #socks do
    socks[i]:settimeout(ms)
  end
  self.tcp_sock:settimeout(ms)
end

--- The records for a name, an answer's error in `errcode` and `errstr`; or nil and why there is no answer. `tries`
-- takes in why each try failed.
function M:query(name, options, tries)
  if not self.socks then
    return nil, "not initialized"
  end
  local id = random(0, 65535)
  local text, err = question(self, name, id, options)
  if not text then
    return nil, err
  end
  if tries then
    tries[1] = nil
  end
  for i = 1, self.retrans do
    local answers
    answers, err = over_udp(self, turn(self), text, id, options)
    if answers then
      return answers, nil, tries
    end
    if tries then
      tries[i], tries[i + 1] = err, nil
    end
  end
  return nil, err, tries
end

--- The same over TCP.
function M:tcp_query(name, options)
  if not self.socks then
    return nil, "not initialized"
  end
  local id = random(0, 65535)
  local text, err = question(self, name, id, options)
  if not text then
    return nil, err
  end
  return over_tcp(self, self.servers[turn(self)], text, id, options)
end

-- === addresses ===

--- An IPv6 address with its longest run of zeros left out.
function M.compress_ipv6_addr(address)
  local best_at, best = nil, 0
  for at, zeros in gmatch(":" .. address .. ":", "()(:0[:0]*:)") do
    local n = #gsub(zeros, ":", "")
    if n > best and n > 1 then
      best_at, best = at, n
    end
  end
  if not best_at then
    return address
  end
  local zeros = rep(":0", best)
  local before, after = sub(":" .. address, 1, best_at - 1), sub(":" .. address, best_at + #zeros)
  return (sub(before, 2)) .. (after == "" and "::" or ":" .. after)
end

--- An IPv6 address with all of its groups.
function M.expand_ipv6_addr(address)
  if not address:find("::", 1, true) then
    return address
  end
  local _, colons = gsub(address, ":", "")
  if sub(address, 1, 1) == ":" then
    address = "0" .. address
  end
  if sub(address, -1) == ":" then
    address = address .. "0"
  end
  return (gsub(address, "::", ":" .. rep("0:", 8 - colons), 1))
end

--- The name that an address is looked up by in reverse.
function M.arpa_str(address)
  local parts = {}
  if not address:find(":", 1, true) then
    for part in gmatch(address, "[^.]+") do
      table.insert(parts, 1, part)
    end
    return concat(parts, ".") .. ".in-addr.arpa"
  end
  for group in gmatch(M.expand_ipv6_addr(address), "[^:]+") do
    for digit in gmatch(rep("0", 4 - #group) .. lower(group), "%x") do
      table.insert(parts, 1, digit)
    end
  end
  return concat(parts, ".") .. ".ip6.arpa"
end

--- The names of an address.
function M:reverse_query(address)
  return self:query(M.arpa_str(address), { qtype = self.TYPE_PTR })
end

return M
