-- kong.log: one object for the gateway and one for each plugin, which its lines are marked with.

local inspect = require "moongate.inspect"
local serializer = require "kong.pdk.private.serialize"

local type, error, select, tostring, pairs = type, error, select, tostring, pairs
local find, sub, match, rep, concat = string.find, string.sub, string.match, string.rep, table.concat
local getinfo = debug.getinfo

-- The error log is ngx's; without it (the state of a test) there is none.
local loaded = package.loaded
local silent = {
  write = function() end,
  get_level = function()
    return 0
  end,
}
local function errlog()
  return loaded["moongate.ngx.log"] or silent
end

local PREFIX = "[kong] "
local CORE_FORMAT = "%file_src:%line_src %message"
local NAMED_FORMAT = "%file_src:%line_src [%namespace] %message"
local LEVELS = { emerg = 1, alert = 2, crit = 3, err = 4, warn = 5, notice = 6, info = 7, debug = 8 }

local SOURCES = {
  ["%file_src"] = function(info)
    return match(info.short_src or "?", "([^/]*)$")
  end,
  ["%line_src"] = function(info)
    return info.currentline or "?"
  end,
  ["%func_name"] = function(info)
    return info.name or "?"
  end,
}

-- The format as a list: texts, and functions of debug.getinfo's answer; `true` is the message.
local function parse(format)
  local parts, from, at = {}, 1, 1
  while true do
    local s, e = find(format, "%%[a-z_]+", at)
    if not s then
      break
    end
    local name = sub(format, s, e)
    local part = name == "%message" or SOURCES[name]
    if part and sub(format, s - 1, s - 1) ~= "%" then
      parts[#parts + 1] = sub(format, from, s - 1)
      parts[#parts + 1] = part
      from = e + 1
    end
    at = e + 1
  end
  parts[#parts + 1] = sub(format, from)
  local flags = (find(format, "%func_name", 1, true) and "n" or "") .. "Sl"
  return parts, flags
end

local function fill(parts, info, message)
  local out = {}
  for i = 1, #parts do
    local part = parts[i]
    if part == true then
      out[i] = message
    elseif type(part) == "function" then
      out[i] = info and part(info) or "?"
    else
      out[i] = part
    end
  end
  return concat(out)
end

local function join(sep, to_string, ...)
  local n = select("#", ...)
  if n == 1 then
    return (to_string((...)))
  end
  local out = {}
  for i = 1, n do
    out[i] = to_string((select(i, ...)))
  end
  return concat(out, sep)
end

-- A function that writes its arguments. `level` is that of the call whose file and line are named.
local function writer(severity, parts, flags, level)
  return function(...)
    local out = errlog()
    if severity > out.get_level() then
      return
    end
    local observer = out.observer
    if observer then
      observer("observability_logs", "push", level + 3, nil, severity, ...)
    end
    out.write(severity, fill(parts, getinfo(level, flags), join("", tostring, ...)))
  end
end

local WIDTH = 120

-- The lines of a box around `text`, whose first line becomes its head.
local function box(write, severity, text)
  local head_end = find(text, "\n", 1, true)
  local head = sub(text, 1, head_end - 1)
  write(severity, head .. rep("-", WIDTH - #head + 1) .. "+")
  for line in (sub(text, head_end + 1) .. "\n"):gmatch("(.-)\n") do
    repeat
      local part = sub(line, 1, WIDTH)
      write(severity, "|" .. part .. rep(" ", WIDTH - #part) .. "|")
      line = sub(line, WIDTH + 1)
    until line == ""
  end
  write(severity, "+" .. rep("-", WIDTH) .. "+")
end

local inspect_mt = {
  __call = function(self, ...)
    self.print(...)
  end,
}

local function new_inspect(namespace)
  local parts, flags = parse(PREFIX .. "%file_src:%func_name:%line_src [" .. namespace .. "]\n%message")
  local self = {}
  function self.on()
    function self.print(...)
      local out = errlog()
      if LEVELS.notice <= out.get_level() then
        box(out.write, LEVELS.notice, fill(parts, getinfo(3, flags), join(" ", inspect, ...)))
      end
    end
  end
  function self.off()
    self.print = function() end
  end
  self.on()
  return setmetatable(self, inspect_mt)
end

-- Calls `write` without a tail call: the caller of the deprecation is two levels above the writer.
local deprecation_mt = {
  __call = function(self, ...)
    local n = select("#", ...)
    local given = select(n, ...)
    local words = { ... }
    if type(given) ~= "table" then
      self.write(concat(words, "", 1, n))
      return
    end
    local text = concat(words, "", 1, n - 1)
    if given.after and given.removal then
      text = text .. " (deprecated after " .. given.after .. ", scheduled for removal in " .. given.removal .. ")"
    elseif given.after then
      text = text .. " (deprecated after " .. given.after .. ")"
    elseif given.removal then
      text = text .. " (scheduled for removal in " .. given.removal .. ")"
    end
    if given.trace then
      text = text .. " " .. debug.traceback("", 2)
    end
    self.write(text)
  end,
}

local log_mt = {
  __call = function(self, ...)
    return self.notice(...)
  end,
}
log_mt.__index = log_mt

local function new(namespace, format)
  if type(namespace) ~= "string" then
    error("namespace must be a string", 2)
  elseif namespace == "" then
    error("namespace cannot be an empty string", 2)
  end
  if format and type(format) ~= "string" then
    error("format must be a string if specified", 2)
  elseif format == "" then
    error("format cannot be an empty string if specified", 2)
  end

  local self = {}
  -- Kong takes the name for the pattern of what replaces it; here it is plain text.
  function self.set_format(given)
    if given and type(given) ~= "string" then
      error("format must be a string", 2)
    end
    local escaped = namespace:gsub("%%", "%%%%")
    local text = " " .. (given or NAMED_FORMAT)
    text = text:gsub("([^%%])%%namespace", "%1" .. escaped)
    local parts, flags = parse(PREFIX .. sub(text, 2))
    for name, severity in pairs(LEVELS) do
      self[name] = writer(severity, parts, flags, 2)
    end
    self.deprecation = setmetatable({ write = writer(LEVELS.warn, parts, flags, 3) }, deprecation_mt)
  end
  self.set_format(format)
  self.inspect = new_inspect(namespace)
  self.trace = os.getenv("KONG_IS_TESTING") == "1" and self.debug or function() end
  self.set_serialize_value = serializer.set_serialize_value
  self.serialize = serializer.serialize
  return setmetatable(self, log_mt)
end
log_mt.new = new

return {
  new = function()
    return new("core", CORE_FORMAT)
  end,
}
