// Print the events of `rtemo serve --publish web`, over server-sent events, and count what is lost on the way.
// Run: go run events.go [http://127.0.0.1:8765] [COUNT]; a token goes into RTEMO_TOKEN. Nothing but the standard library.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type event struct {
	Call    string `json:"call"`
	Channel string `json:"channel"`
	Kind    string `json:"kind"`
	Seq     int64  `json:"seq"`
	Data    struct {
		Label   string      `json:"label"`
		Arousal json.Number `json:"arousal"`
	} `json:"data"`
}

type follower struct {
	origin   string
	count    int64
	lastID   string           // where to go on after the connection was lost
	seen     map[string]int64 // call, channel and kind → seq of the last event
	received int64
	lost     int64
}

func (f *follower) told(kind string, data []byte) error {
	if kind == "snapshot" {
		f.seen = map[string]int64{} // what came before is in it, or too old
		fmt.Println("snapshot")
		return nil
	}
	var one event
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	topic := fmt.Sprintf("%s/%s %s", one.Call, one.Channel, one.Kind)
	if before, is := f.seen[topic]; is && one.Seq > before+1 {
		f.lost += one.Seq - before - 1
	}
	f.seen[topic] = one.Seq
	f.received++
	if one.Kind == "emotion" {
		fmt.Println(topic, one.Data.Label, one.Data.Arousal)
	} else {
		fmt.Println(topic)
	}
	return nil
}

func (f *follower) follow() error {
	request, err := http.NewRequest(http.MethodGet, f.origin+"/v1/events/stream", nil)
	if err != nil {
		return err
	}
	if f.lastID != "" {
		request.Header.Set("Last-Event-ID", f.lastID)
	}
	if token := os.Getenv("RTEMO_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 64<<20) // a snapshot of many calls is one line
	kind, id, data := "", "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if lines.Text() != "" || data == "" {
				continue // a sign of life
			}
			f.lastID = id
			if err := f.told(kind, []byte(data)); err != nil {
				return err
			}
			kind, id, data = "", "", ""
			if f.received >= f.count {
				return nil
			}
		}
	}
	return lines.Err()
}

func main() {
	f := &follower{origin: "http://127.0.0.1:8765", count: math.MaxInt64, seen: map[string]int64{}}
	if len(os.Args) > 1 {
		f.origin = os.Args[1]
	}
	if len(os.Args) > 2 {
		count, err := strconv.ParseInt(os.Args[2], 10, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, "COUNT is a number")
			os.Exit(2)
		}
		f.count = count
	}
	for f.received < f.count {
		if err := f.follow(); err != nil {
			fmt.Fprintf(os.Stderr, "%v; trying again\n", err)
		}
		if f.received < f.count {
			time.Sleep(time.Second)
		}
	}
	fmt.Printf("received %d, lost %d\n", f.received, f.lost)
}
