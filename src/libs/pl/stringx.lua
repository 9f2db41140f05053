-- `pl.stringx`: string functions in the manner of Python.

local List = require "pl.List"
local utils = require "pl.utils"

local M = {}

--- Splits at a plain delimiter (white space if none is given); an empty last part is kept.
function M.split(s, delim, n)
  local parts = utils.split(s, delim, delim ~= nil, n)
  if delim and delim ~= "" and s:sub(-#delim) == delim and (not n or #parts < n) then
    parts[#parts + 1] = ""
  end
  return List(parts)
end

--- The items of a list with `sep` between them.
function M.join(sep, list)
  return table.concat(list, sep)
end

function M.startswith(s, prefix)
  if type(prefix) == "table" then
    for _, p in ipairs(prefix) do
      if M.startswith(s, p) then
        return true
      end
    end
    return false
  end
  return s:sub(1, #prefix) == prefix
end

function M.endswith(s, suffix)
  if type(suffix) == "table" then
    for _, p in ipairs(suffix) do
      if M.endswith(s, p) then
        return true
      end
    end
    return false
  end
  return #s >= #suffix and s:sub(#s - #suffix + 1) == suffix
end

local function set_of(chars)
  return chars and "[" .. utils.escape(chars) .. "]" or "%s"
end

function M.lstrip(s, chars)
  return (s:gsub("^" .. set_of(chars) .. "+", ""))
end

function M.rstrip(s, chars)
  local set, last = set_of(chars), #s
  while last > 0 and s:find("^" .. set, last) do
    last = last - 1
  end
  return s:sub(1, last)
end

function M.strip(s, chars)
  return M.rstrip(M.lstrip(s, chars), chars)
end

--- Replaces a plain substring, at most `n` times.
function M.replace(s, old, new, n)
  return (s:gsub(utils.escape(old), (new:gsub("%%", "%%%%")), n))
end

function M.count(s, sub)
  local _, n = s:gsub(utils.escape(sub), "")
  return n
end

--- What is before, the delimiter, and after its first place.
function M.partition(s, delim)
  local from, to = s:find(delim, 1, true)
  if not from then
    return s, "", ""
  end
  return s:sub(1, from - 1), delim, s:sub(to + 1)
end

--- As `partition`, at the last place.
function M.rpartition(s, delim)
  local at, from = 0, nil
  repeat
    from = at
    at = s:find(delim, at + 1, true)
  until not at
  if from == 0 then
    return "", "", s
  end
  return s:sub(1, from - 1), delim, s:sub(from + #delim)
end

function M.lfind(s, sub, first, last)
  local from, to = s:find(sub, first or 1, true)
  return from and (not last or to <= last) and from or nil
end

function M.splitlines(s, keepends)
  local lines = List()
  for line, ending in s:gmatch("([^\r\n]*)(\r?\n?)") do
    if line ~= "" or ending ~= "" then
      lines:append(keepends and line .. ending or line)
    end
  end
  return lines
end

function M.lines(s)
  return M.splitlines(s):iter()
end

local function pad(left, right)
  return function(s, width, ch)
    local n = math.max(0, width - #s)
    local l = left and right and math.floor(n / 2) or left and n or 0
    return (ch or " "):rep(l) .. s .. (ch or " "):rep(n - l)
  end
end

M.rjust = pad(true, false)
M.ljust = pad(false, true)
M.center = pad(true, true)

local function made_of(pattern)
  return function(s)
    return s:find("^" .. pattern .. "+$") ~= nil
  end
end

M.isalpha = made_of "%a"
M.isdigit = made_of "%d"
M.isalnum = made_of "%w"
M.isspace = made_of "%s"
M.islower = function(s) return s:lower() == s and s:find("%l") ~= nil end
M.isupper = function(s) return s:upper() == s and s:find("%u") ~= nil end

function M.title(s)
  return (s:gsub("(%S)(%S*)", function(first, rest) return first:upper() .. rest:lower() end))
end

function M.shorten(s, width, tail)
  if #s <= width then
    return s
  end
  return tail and "..." .. s:sub(#s - width + 4) or s:sub(1, width - 3) .. "..."
end

--- The character at a place.
function M.at(s, i)
  return s:sub(i, i)
end

--- The parts of `split` as several values.
function M.splitv(s, re)
  return unpack(M.split(s, re))
end

function M.capitalize(s)
  return s:sub(1, 1):upper() .. s:sub(2):lower()
end

--- Where a text begins for the last time between `first` and `last`.
function M.rfind(s, sub, first, last)
  local found
  local at = first or 1
  while true do
    local from, to = s:find(sub, at, true)
    if not from or last and to > last then
      return found
    end
    found, at = from, from + 1
  end
end

--- Each tab as spaces up to the next multiple of `width`.
function M.expandtabs(s, width)
  width = width or 8
  return (s:gsub("([^\t\r\n]*)\t", function(text)
    return text .. (" "):rep(width - #text % width)
  end))
end

--- Each line behind `n` times a character.
function M.indent(s, n, ch)
  local prefix = (ch or " "):rep(n or 4)
  return (s:gsub("[^\n]*\n?", function(line)
    return line ~= "" and prefix .. line or nil
  end))
end

--- Takes off each line the indent that the first one has.
function M.dedent(s)
  local n = #s:match("^%s*")
  return (s:gsub("[^\n]*\n?", function(line)
    return line ~= "" and line:gsub("^" .. ("%s?"):rep(n), "") or nil
  end))
end

--- A string in quotes as Lua reads it.
function M.quote_string(s)
  return ("%q"):format(s):gsub("\\\n", "\\n")
end

--- Adds these functions to the string library.
function M.import()
  for k, v in pairs(M) do
    if k ~= "import" and string[k] == nil then
      string[k] = v
    end
  end
end

return M
