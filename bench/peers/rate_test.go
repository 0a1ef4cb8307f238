// What golang.org/x/time/rate costs, row by row as rate.cc does it with Holdfast's TokenBucket. Run
// with -test.cpu 1,2 for one and two goroutines at work on one limiter. A turn of RunParallel costs
// less than half a nanosecond.
package peers

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// plenty never runs dry.
func plenty() *rate.Limiter { return rate.NewLimiter(1e9, 1<<50) }

// empty gives its next token in a quarter of an hour.
func empty() *rate.Limiter {
	limiter := rate.NewLimiter(1e-3, 1)
	limiter.Allow()
	return limiter
}

// expect fails a row that measures something else than it says.
func expect(b *testing.B, ok bool) {
	if !ok {
		b.Error("not what this row is about")
	}
}

func BenchmarkAllowGranted(b *testing.B) {
	limiter := plenty()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			expect(b, limiter.Allow())
		}
	})
}

func BenchmarkAllowRefused(b *testing.B) {
	limiter := empty()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			expect(b, !limiter.Allow())
		}
	})
}

func BenchmarkAllowAtGranted(b *testing.B) {
	limiter, now := plenty(), time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			expect(b, limiter.AllowN(now, 1))
		}
	})
}

func BenchmarkAllowAtRefused(b *testing.B) {
	limiter, now := empty(), time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			expect(b, !limiter.AllowN(now, 1))
		}
	})
}

func BenchmarkReserveAtGranted(b *testing.B) {
	limiter, now := plenty(), time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			reservation := limiter.ReserveN(now, 1)
			expect(b, reservation.DelayFrom(now) == 0)
		}
	})
}

// The wait is of a millisecond or more, and its end is never reached.
func BenchmarkReserveAndCancel(b *testing.B) {
	limiter := rate.NewLimiter(1e3, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			reservation := limiter.Reserve()
			expect(b, reservation.OK())
			reservation.Cancel()
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	limiter := plenty()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			expect(b, limiter.Tokens() > 0)
		}
	})
}
