-- File names, as text.

local paths = {}

function paths.join(directory, name)
  if name:sub(1, 1) == "/" or directory == "" then return name end
  if directory:sub(-1) == "/" then return directory .. name end
  return directory .. "/" .. name
end

function paths.basename(path)
  return path:match("([^/]*)$")
end

function paths.dirname(path)
  return path:match("^(.*)/[^/]*$") or ""
end

-- Resolves "." and ".." as far as the text allows.
function paths.normalize(path)
  local parts = {}
  local absolute = path:sub(1, 1) == "/"
  for part in path:gmatch("[^/]+") do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part == ".." and absolute then
      parts = {}
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  local text = table.concat(parts, "/")
  if absolute then return "/" .. text end
  return text == "" and "." or text
end

return paths
