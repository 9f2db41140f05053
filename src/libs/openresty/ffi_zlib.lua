-- `ffi-zlib`: gzip and deflate over functions that give and take pieces.

local ops = require("moongate.ops").libs

local M = { _VERSION = "0.6" }

local function all(input, size)
  local parts = {}
  while true do
    local piece, err = input(size)
    if err then
      return nil, err
    elseif not piece or piece == "" then
      return table.concat(parts)
    end
    parts[#parts + 1] = piece
  end
end

local function filter(op)
  return function(input, output, bufsize)
    bufsize = bufsize or 16384
    local text, err = all(input, bufsize)
    if not text then
      return false, err
    end
    local made
    made, err = op(text)
    if not made then
      return false, "INFLATE: " .. tostring(err)
    end
    for at = 1, #made, bufsize do
      local failed, why = output(made:sub(at, at + bufsize - 1))
      if failed == false then
        return false, why
      end
    end
    return true
  end
end

M.inflateGzip = filter(ops.gunzip)
M.deflateGzip = filter(ops.gzip)

function M.version()
  return "1.3.1"
end

return M
