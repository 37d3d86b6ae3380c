fetched=
for url in $urls; do
    echo "trying $url"
    if curl --fail --location --output "$out" "$url"; then fetched=1; break; fi
done
[ -n "$fetched" ] || { echo "none of them answered"; exit 1; }
eval "$postFetch"
