-- `kong.tools.grpc`: .proto files of services, and the frames of gRPC's messages.

local lua_pack = require("lua_pack")
local pb = require("pb")
local protoc = require("protoc")
local date = require("date")
local path = require("pl.path")

local type, pcall, error, ipairs, tostring, setmetatable, io = type, pcall, error, ipairs, tostring, setmetatable, io

local TIMESTAMP = ".google.protobuf.Timestamp"
local epoch = date.epoch()

local M = {}
M.__index = M

-- Times are texts (ISO 8601) in tables, and messages on the wire.
local function hook_times()
  pb.option("enable_hooks")
  pb.option("enable_enchooks")
  if not pcall(pb.hook, TIMESTAMP) then
    ngx.log(ngx.DEBUG, "no type '", TIMESTAMP, "' defined")
    return
  end
  if not pb.hook(TIMESTAMP) then
    pb.hook(TIMESTAMP, function(t)
      if type(t) ~= "table" then
        error(("expected table, got (%s)%q"):format(type(t), tostring(t)))
      end
      return date(t.seconds):fmt("${iso}")
    end)
  end
  if not pb.encode_hook(TIMESTAMP) then
    pb.encode_hook(TIMESTAMP, function(t)
      if type(t) ~= "string" then
        error(("expected time string, got (%s)%q"):format(type(t), tostring(t)))
      end
      local since = date(t) - epoch
      return { seconds = since:spanseconds(), nanos = since:getticks() * 1000 }
    end)
  end
end

--- A reader of .proto files that looks where Kong's does.
function M.new()
  local reader = protoc.new()
  for _, place in ipairs {
    "/usr/local/kong/include", "/usr/local/opt/protobuf/include/", "/usr/include", "kong/include",
    "spec/fixtures/grpc",
  } do
    reader:addpath(place)
  end
  reader.include_imports = true
  return setmetatable({ protoc_instance = reader }, M)
end

function M:addpath(place)
  for _, one in ipairs(type(place) == "table" and place or { place }) do
    self.protoc_instance:addpath(one)
  end
end

--- The open file of a name, found by the paths; nil if there is none.
function M:get_proto_file(name)
  for _, place in ipairs(self.protoc_instance.paths) do
    local file = io.open(place ~= "" and place .. "/" .. name or name)
    if file then
      return file
    end
  end
end

local function visit(reader, name, f, recurse)
  local parsed = reader:parsefile(name)
  if not f then
    return parsed
  end
  if recurse and parsed.dependency then
    for _, index in ipairs(parsed.public_dependency or {}) do
      visit(reader, parsed.dependency[index + 1], f, true)
    end
  end
  for _, service in ipairs(parsed.service or {}) do
    for _, method in ipairs(service.method or {}) do
      f(parsed, service, method)
    end
  end
  return parsed
end

--- Loads a file; calls f(file, service, method) for each method, with `recurse` those of public imports, too.
function M:each_method(name, f, recurse)
  local reader = self.protoc_instance
  reader:addpath((path.splitpath(path.abspath(name))))
  reader:loadfile(name)
  hook_times()
  return visit(reader, name, f, recurse)
end

--- A message with its frame: a byte of flags, four of length.
function M.frame(flags, message)
  return lua_pack.pack("C>I", flags, #message) .. message
end

--- The first message and the rest; nil and all of it if it is not yet whole.
function M.unframe(body)
  if not body or #body < 5 then
    return nil, body
  end
  local at, _, size = lua_pack.unpack(body, "C>I")
  local last = at + size - 1
  if last > #body then
    return nil, body
  end
  return body:sub(at, last), body:sub(last + 1)
end

return M
