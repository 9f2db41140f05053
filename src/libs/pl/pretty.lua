-- `pl.pretty`: tables as Lua source.

local M = {}

local KEYWORDS = {}
for word in ("and break do else elseif end false for function if in local nil not or repeat return then true "
  .. "until while goto"):gmatch("%a+") do
  KEYWORDS[word] = true
end

local function quoted(s)
  return (("%q"):format(s):gsub("\\\n", "\\n"))
end

local function scalar(v)
  if type(v) == "string" then
    return quoted(v)
  elseif type(v) == "number" or type(v) == "boolean" then
    return tostring(v)
  end
  local text = tostring(v)
  return text:find(" ", 1, true) and quoted(text) or text
end

local function before(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
    return a < b
  end
  return tostring(type(a)) < tostring(type(b))
end

local function name_of(key, not_clever)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") and not KEYWORDS[key] and not not_clever then
    return key
  end
  return "[" .. (type(key) == "table" and "<" .. tostring(key) .. ">" or scalar(key)) .. "]"
end

--- A value as Lua source, indented by `space` (two blanks); "" for one line.
function M.write(t, space, not_clever)
  space = space or "  "
  local newline = space == "" and "" or "\n"
  local open = {}
  local function put(v, indent)
    if type(v) ~= "table" then
      return scalar(v)
    end
    if open[v] then
      return "<cycle>"
    end
    open[v] = true
    local inner, parts, keys, listed = indent .. space, {}, {}, #v
    for i = 1, listed do
      parts[i] = inner .. put(v[i], inner)
    end
    for k in pairs(v) do
      if not (type(k) == "number" and k % 1 == 0 and k >= 1 and k <= listed) then
        keys[#keys + 1] = k
      end
    end
    table.sort(keys, before)
    for _, k in ipairs(keys) do
      local equals = space == "" and "=" or " = "
      parts[#parts + 1] = inner .. name_of(k, not_clever) .. equals .. put(v[k], inner)
    end
    open[v] = nil
    if #parts == 0 then
      return "{" .. newline .. indent .. "}"
    end
    return "{" .. newline .. table.concat(parts, "," .. newline) .. newline .. indent .. "}"
  end
  return put(t, "")
end

--- Writes a value to a file, or prints it.
function M.dump(t, filename)
  if not filename then
    print(M.write(t))
    return true
  end
  return require("pl.utils").writefile(filename, M.write(t))
end

--- Reads what `write` wrote: a table of constants only.
function M.read(s)
  s = s:gsub("^%s*", "")
  if s:sub(1, 1) ~= "{" then
    return nil, "not a Lua table"
  end
  local chunk, err = loadstring("return " .. s)
  if not chunk then
    return nil, err
  end
  setfenv(chunk, {})
  local ok, t = pcall(chunk)
  if not ok then
    return nil, t
  end
  return t
end

--- A number with a unit: "M" bytes, "N" thousands, "T" a separator between thousands.
function M.number(n, kind, prec)
  if kind == "T" then
    local digits = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (digits:gsub("^,", ""))
  end
  local step = kind == "M" and 1024 or 1000
  local units = kind == "M" and { "B", "KiB", "MiB", "GiB" } or { "", "K", "M", "B" }
  local i = 1
  while n >= step and i < #units do
    n, i = n / step, i + 1
  end
  return ("%." .. (i > 1 and (prec or 1) or 0) .. "f%s"):format(n, units[i])
end

return setmetatable(M, { __call = function(_, t) return M.dump(t) end })
