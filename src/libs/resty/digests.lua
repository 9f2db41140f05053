-- `resty.md5`, `resty.sha1`, `resty.sha224` ...: digests over text that comes in pieces.

local ops = require("moongate.ops").libs

local M = {}

local function class(name)
  local digest = { _VERSION = "0.15" }
  digest.__index = digest

  function digest.new()
    return setmetatable({}, digest)
  end

  --- Takes the next piece (its first `len` bytes); true.
  function digest:update(piece, len)
    if type(piece) ~= "string" then
      error("bad argument #1 to 'update' (string expected, got " .. type(piece) .. ")", 2)
    end
    self[#self + 1] = len and piece:sub(1, len) or piece
    return true
  end

  --- The digest (raw bytes) of all pieces.
  function digest:final()
    return ops.digest(name, table.concat(self))
  end

  --- Starts anew.
  function digest:reset()
    for i = #self, 1, -1 do
      self[i] = nil
    end
    return true
  end

  return digest
end

for _, name in ipairs { "md5", "sha1", "sha224", "sha256", "sha384", "sha512" } do
  M["resty." .. name] = class(name)
end

return M
