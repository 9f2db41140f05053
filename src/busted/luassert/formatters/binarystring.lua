-- A formatter for binary strings: a hex dump. Specs add it with `assert:add_formatter`.

local BYTES_PER_LINE = 16

local function dump_line(bytes)
  local hex, characters = {}, {}
  for i = 1, BYTES_PER_LINE do
    local byte = bytes:byte(i)
    hex[i] = byte and ("%2x "):format(byte) or "   "
    characters[i] = not byte and " " or byte < 32 and "." or string.char(byte)
  end
  return table.concat(hex, "", 1, 8) .. "  " .. table.concat(hex, "", 9) .. " "
    .. table.concat(characters, "", 1, 8) .. " " .. table.concat(characters, "", 9) .. "\n"
end

return function(value)
  if type(value) ~= "string" then return nil end
  local lines = { "Binary string length; " .. #value .. " bytes\n" }
  for first = 1, #value, BYTES_PER_LINE do
    lines[#lines + 1] = dump_line(value:sub(first, first + BYTES_PER_LINE - 1))
  end
  return table.concat(lines)
end
